const files = import.meta.glob('./tabs/*', { eager: true, query: '?raw', import: 'default' });

// The tabs of a first visit, in the order of their file names. The variables
// are written for the default address; here they get the address of this page.
export const defaultTabs = Object.keys(files)
  .filter((path) => path.endsWith('.graphql'))
  .sort()
  .map((path) => ({
    query: files[path],
    variables: files[path.replace('.graphql', '.json')]?.replaceAll('http://127.0.0.1:8080', location.origin),
  }));
