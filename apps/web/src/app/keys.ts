import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { useSettings } from '../data/settings.ts';
import { MOD } from '../ui/mod-key.ts';

const PAGES = { o: '/overview', g: '/graph', s: '/services', t: '/traces', c: '/config', e: '/security', p: '/proxies' } as const;
/** What `?` shows. */
export const KEYS: readonly (readonly [string, string])[] = [
  [`${MOD}K`, 'search or jump to'],
  ['g then o g s t c e p', 'overview, graph, services, traces, config, security, proxies'],
  ['space', 'pause or go on'],
  ['/', 'find'],
  ['?', 'these keys'],
  ['j k h l e', 'in a trace: next, previous, fold, unfold, next error'],
  [`${MOD}S ${MOD}Enter F8 F7`, 'in the editor: dry run, apply, next problem, next change'],
  ['Esc then Tab', 'out of the editor'],
  ['Esc', 'close'],
];
const CHORD_MS = 1_000;

/** Keys that hold everywhere; none of them while somebody types. */
export function useKeys(open: { palette(): void; help(): void }): void {
  const navigate = useNavigate();
  const handlers = useRef(open);
  useEffect(() => {
    handlers.current = open;
  }, [open]);
  useEffect(() => {
    let chordAt = -CHORD_MS;
    const onKey = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey)) {
        event.preventDefault();
        handlers.current.palette();
        return;
      }
      const target = event.target instanceof HTMLElement ? event.target : undefined;
      const typing = target?.closest('input, select, textarea, [contenteditable="true"], [role="dialog"]') != null;
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
      const page = Object.hasOwn(PAGES, event.key) ? PAGES[event.key as keyof typeof PAGES] : undefined;
      if (event.timeStamp - chordAt < CHORD_MS && page !== undefined) {
        chordAt = -CHORD_MS;
        void navigate({ to: page });
      } else if (event.key === 'g') chordAt = event.timeStamp;
      else if (event.key === '?') handlers.current.help();
      else if (event.key === '/') document.querySelector<HTMLInputElement>('main input.field')?.focus();
      else if (event.key === ' ' && target?.closest('button, a') == null) {
        const { paused, set } = useSettings.getState();
        set({ paused: !paused });
      } else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [navigate]);
}
