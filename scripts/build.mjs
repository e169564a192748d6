import { ensureBuilt, ensureGenerated, ensureInstalled, requireNode } from './lib/setup.mjs';

requireNode();
ensureInstalled();
ensureGenerated();
ensureBuilt();
