// Compares schema.graphqls with that of the last release named in
// CHANGELOG.md: what is released stays.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { DangerousChangeType, buildSchema, findBreakingChanges, findDangerousChanges, parse, print } from 'graphql';

// What graphql-js calls merely dangerous, and changes what an old document means.
const meaning = [DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE];

/** The version that stands first under a heading of the changelog, such as 1.2.0; null before the first release. */
export function lastRelease(changelog) {
  return changelog.match(/^## \[?v?(\d+\.\d+\.\d+[^\]\s]*)/m)?.[1] ?? null;
}

/** What in the new SDL breaks whoever was right about the old one: sentences, the coordinates first. */
export function breaks(before, after) {
  const [old, now] = [buildSchema(before), buildSchema(after)];
  const found = [
    ...findBreakingChanges(old, now),
    ...findDangerousChanges(old, now).filter((change) => meaning.includes(change.type)),
  ].map((change) => change.description);

  // Two things that graphql-js does not look at.
  const [oldParts, newParts] = [parts(before), parts(after)];
  for (const [name, part] of oldParts) {
    const next = newParts.get(name);
    if (!next) continue; // told already
    if (part.isInputField && part.defaultValue !== next.defaultValue) {
      found.push(`${name} changed its default from ${part.defaultValue} to ${next.defaultValue}.`);
    }
    if (part.directives !== next.directives) {
      found.push(`${name} changed its directives from "${part.directives}" to "${next.directives}".`);
    }
  }
  return found;
}

// parts are the types and fields of a document by name, with what they are marked with. A part can be deprecated.
function parts(sdl) {
  const all = new Map();
  const add = (name, node, isInputField) =>
    all.set(name, {
      isInputField,
      defaultValue: node.defaultValue ? print(node.defaultValue) : 'none',
      directives: node.directives
        .filter((directive) => directive.name.value !== 'deprecated')
        .map(print)
        .sort()
        .join(' '),
    });
  for (const type of parse(sdl).definitions) {
    if (!type.name || !type.directives) continue;
    add(type.name.value, type, false);
    for (const field of [...(type.fields ?? []), ...(type.values ?? [])]) {
      add(`${type.name.value}.${field.name.value}`, field, field.kind === 'InputValueDefinition');
    }
  }
  return all;
}

/** Checks a tree and returns what to print; throws with what is broken. */
export async function check(root, releases) {
  const version = lastRelease(await readFile(join(root, 'CHANGELOG.md'), 'utf8'));
  if (!version) return 'CHANGELOG.md names no release yet: no schema to compare with.';

  const file = join(releases, `${version}.graphqls`);
  const before = await readFile(file, 'utf8').catch((err) => {
    throw err.code === 'ENOENT'
      ? new Error(`${version} is released, but its schema is not kept. Copy it: git show v${version}:schema.graphqls >${file}`)
      : err;
  });
  const found = breaks(before, await readFile(join(root, 'schema.graphqls'), 'utf8'));
  if (found.length > 0) {
    throw new Error(`schema.graphqls breaks clients of ${version}. Deprecate instead:\n  ${found.join('\n  ')}`);
  }
  return `schema.graphqls breaks nothing of ${version}.`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(await check(join(import.meta.dirname, '../..'), join(import.meta.dirname, 'released')));
  } catch (err) {
    console.error(err.message);
    process.exitCode = 1;
  }
}
