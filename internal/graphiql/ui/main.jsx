import 'graphiql/setup-workers/vite';
import { createLocalStorage } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { fetcher } from './fetcher.js';
import { defaultTabs } from './tabs.js';

// The parts of graphiql/style.css without the fonts and the second copy of
// Monaco's styles that it carries as well.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

createRoot(document.getElementById('root')).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={defaultTabs}
    defaultEditorToolsVisibility
    // API keys are typed into the headers, so these stay in memory.
    shouldPersistHeaders={false}
    // Apart from another GraphiQL that was once served on the same port.
    storage={createLocalStorage({ namespace: 'hookql' })}
  >
    <GraphiQL.Logo>HookQL</GraphiQL.Logo>
  </GraphiQL>,
);
