// `npm start`: set-up where needed, then `weft up` with the same arguments, in this very process.
import { ensureBuilt, ensureGenerated, ensureInstalled, requireNode } from './lib/setup.mjs';

requireNode();
ensureInstalled();
ensureGenerated();
ensureBuilt();
process.argv.splice(2, 0, 'up');
await import('../apps/server/dist/cli/main.js');
