import { create } from 'zustand';

export type Theme = 'light' | 'dark';
export interface Toast {
  id: number;
  text: string;
  action?: { label: string; testId?: string; run(): void };
}
interface Settings {
  theme: Theme;
  paused: boolean;
  windowSec: number;
  /** '' = all. */
  namespace: string;
  toasts: Toast[];
  set(change: Partial<Pick<Settings, 'theme' | 'paused' | 'windowSec' | 'namespace'>>): void;
  toast(toast: Omit<Toast, 'id'>): void;
  dismiss(id: number): void;
}

const stored = globalThis.localStorage?.getItem('weft-theme');
const asked = new URLSearchParams(globalThis.location?.search ?? '');
const prefersDark = typeof matchMedia === 'function' && matchMedia('(prefers-color-scheme: dark)').matches;
let nextToast = 1;

/** What the person chose for the whole console. */
export const useSettings = create<Settings>((set) => ({
  theme: stored === 'dark' || stored === 'light' ? stored : prefersDark ? 'dark' : 'light',
  paused: false,
  windowSec: Number(asked.get('range')) || 30,
  namespace: asked.get('ns') ?? '',
  toasts: [],
  set(change) {
    if (change.theme !== undefined) localStorage.setItem('weft-theme', change.theme);
    set(change);
  },
  toast(toast) {
    const id = nextToast++;
    set((s) => ({ toasts: [...s.toasts.slice(-2), { ...toast, id }] }));
    setTimeout(() => set((s) => ({ toasts: s.toasts.filter((t) => t.id !== id) })), 12_000);
  },
  dismiss: (id) => set((s) => ({ toasts: s.toasts.filter((t) => t.id !== id) })),
}));

/** Whether what is in a namespace belongs to the chosen one; what is in none belongs to each. */
export function useInNamespace(): (namespace: string | undefined) => boolean {
  const chosen = useSettings((s) => s.namespace);
  return (namespace) => chosen === '' || namespace === undefined || namespace === chosen;
}
