import { defineConfig } from 'vite';

// The same names in every build: a new version then changes only the files
// whose content changed, and the server tells versions apart by ETag.
const names = {
  entryFileNames: '[name].js',
  chunkFileNames: '[name].js',
  assetFileNames: '[name][extname]',
};

export default defineConfig({
  base: '/graphiql/',
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the page's policy allows no font from a data: URL
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 4000, // kB; Monaco is that large
    rolldownOptions: {
      checks: { moduleLevelDirective: false }, // "use client" means nothing here
      output: {
        ...names,
        codeSplitting: {
          groups: [
            { name: 'monaco', test: /node_modules\/monaco-/ },
            { name: 'prettier', test: /node_modules\/prettier\// },
          ],
        },
      },
    },
  },
  worker: {
    format: 'es',
    // Workers are bundled one by one. A chunk of one could take the name of
    // another's, so each is a single file.
    rolldownOptions: { output: { ...names, codeSplitting: false } },
  },
});
