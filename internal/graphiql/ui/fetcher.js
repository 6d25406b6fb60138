const url = `${location.origin}/graphql`;

// Sends one operation to the API beside this page. GraphiQL prints what it
// returns; what is no GraphQL answer becomes an error in one readable line,
// where an exception would be printed with its stack.
export async function fetcher(operation, { headers, documentAST } = {}) {
  if (isSubscription(documentAST, operation.operationName)) return subscribe(operation, headers);
  let response, text;
  try {
    response = await post(operation, headers, 'application/graphql-response+json, application/json;q=0.9');
    text = await response.text();
  } catch (error) {
    return failure(`No answer from ${url}: ${error.message}`);
  }
  return answer(response, text);
}

// Whether the operation of a name, or the only one, is a subscription.
function isSubscription(documentAST, name) {
  return documentAST?.definitions.some(
    (d) => d.kind === 'OperationDefinition' && d.operation === 'subscription' && (!name || d.name?.value === name),
  );
}

// The results of a subscription as they come, until GraphiQL wants no more.
async function* subscribe(operation, headers) {
  const stop = new AbortController();
  try {
    const response = await post(operation, headers, 'text/event-stream', stop.signal);
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      yield answer(response, await response.text());
      return;
    }
    for await (const { event, data } of events(response.body.pipeThrough(new TextDecoderStream()).getReader())) {
      if (event === 'complete') return;
      if (event === 'next') yield JSON.parse(data);
    }
    yield failure(`${url} ended the stream. Run it again to go on.`);
  } catch (error) {
    yield failure(`No answer from ${url}: ${error.message}`);
  } finally {
    stop.abort();
  }
}

// The events of a stream: lines of fields, an empty line after each.
async function* events(reader) {
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const field = (name) =>
        part
          .split('\n')
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).trimStart())
          .join('\n');
      yield { event: field('event'), data: field('data') };
    }
  }
}

function post(operation, headers, accept, signal) {
  return fetch(url, {
    method: 'POST',
    credentials: 'same-origin',
    headers: { accept, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(operation),
    signal,
  });
}

function answer(response, text) {
  try {
    return JSON.parse(text);
  } catch {
    return failure(`${url} answered ${response.status} ${response.statusText}: ${text.trim()}`);
  }
}

function failure(message) {
  return { errors: [{ message }] };
}
