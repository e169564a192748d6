import {
  IconBox,
  IconBraces,
  IconCpu,
  IconHierarchy,
  IconLayoutGrid,
  IconMoon,
  IconPlugConnectedX,
  IconSearch,
  IconShieldCheck,
  IconSun,
  IconTimeline,
} from '@tabler/icons-react';
import { Link, Outlet, useLocation, useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useEffect, useState } from 'react';
import { useConfigList, useLiveState, useStatus } from '../data/hooks.ts';
import { useSettings } from '../data/settings.ts';
import { MOD } from '../ui/mod-key.ts';
import { KeyHelp } from './key-help.tsx';
import { useKeys } from './keys.ts';
import { Palette } from './palette.tsx';

const NAV = [
  { to: '/overview', label: 'Overview', Icon: IconLayoutGrid },
  { to: '/graph', label: 'Graph', Icon: IconHierarchy },
  { heading: 'Observe', to: '/services', also: '/workloads', label: 'Services', Icon: IconBox },
  { to: '/traces', label: 'Traces', Icon: IconTimeline },
  { heading: 'Control', to: '/config', label: 'Config', Icon: IconBraces },
  { to: '/security', label: 'Security', Icon: IconShieldCheck },
  { heading: 'Mesh', to: '/proxies', label: 'Proxies', Icon: IconCpu },
] as const;
const WINDOWS = [
  [10, '10 s'],
  [30, '30 s'],
  [60, '1 min'],
  [300, '5 min'],
  [900, '15 min'],
  [3600, '1 h'],
  [10_800, '3 h'],
  [43_200, '12 h'],
  [86_400, '24 h'],
] as const;

/** Navigation, the bar with what holds for every view, and the view itself. */
export function Shell(): ReactElement {
  const known = useStatus();
  const liveState = useLiveState();
  const settings = useSettings();
  const path = useLocation({ select: (l) => l.pathname });
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const search = useSearch({ from: '__root__' });
  const navigate = useNavigate();
  // The address has the last word, so that a link or the back button brings its range and namespace along.
  const { set } = settings;
  useEffect(() => set({ namespace: search.ns ?? '', windowSec: search.range ?? 30 }), [search.ns, search.range, set]);
  const choose = (change: { ns?: string | undefined; range?: number }): void =>
    void navigate({ to: '.', search: (held: Record<string, unknown>) => ({ ...held, ...change }), replace: true });
  const here = (item: (typeof NAV)[number]): boolean => path.startsWith(item.to) || ('also' in item && path.startsWith(item.also));
  const configErrors = useConfigList().data?.items.reduce((sum, i) => sum + i.errors, 0) ?? 0;

  useEffect(() => {
    document.documentElement.dataset['theme'] = settings.theme;
  }, [settings.theme]);
  useKeys({ palette: () => setPalette(true), help: () => setHelp(true) });

  // What was true when the channel was lost may be so no more.
  const status = liveState === 'lost' ? undefined : known;
  const bad = status !== undefined && (status.proxies.nacked > 0 || status.proxies.disconnected > 0);
  return (
    <div className="app">
      <nav className="nav" aria-label="Main">
        <div className="brand">
          <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
            <rect width="22" height="22" rx="6" fill="var(--accent)" />
            <g fill="none" stroke="var(--on-accent)" strokeWidth="2" strokeLinecap="round">
              <path d="M4.5 8h5M13.5 8h4M4.5 14h3M11 14h6.5" />
              <path d="M8 4.500v2M8 10v7.500M14 4.500v7.500M14 15.800v1.700" />
            </g>
          </svg>
          <span className="lab">Weft</span>
        </div>
        <div className="mesh">
          <span>{known?.mesh ?? '…'}</span>
        </div>
        {NAV.map((item) => (
          <div key={item.to}>
            {'heading' in item && <h6>{item.heading}</h6>}
            <Link to={item.to} className={here(item) ? 'on' : ''} title={item.label} {...(here(item) ? { 'aria-current': 'page' as const } : {})}>
              <item.Icon size={16} stroke={1.5} aria-hidden="true" />
              <span className="lab">{item.label}</span>
              {item.to === '/config' && configErrors > 0 && (
                <span className="n e" title={`${configErrors} errors in the configuration`}>
                  {configErrors}
                </span>
              )}
              {item.to === '/proxies' && <span className="n">{status?.proxies.total}</span>}
            </Link>
          </div>
        ))}
        <div
          className="foot"
          title={status === undefined ? undefined : `${status.proxies.synced} of ${status.proxies.total} proxies synced, config revision ${status.revision}`}
        >
          <div>
            <i className={`dot ${status === undefined ? 'idle' : bad ? 'err' : ''}`} />
            <b>
              {status === undefined
                ? liveState === 'lost'
                  ? 'Server unreachable'
                  : 'No status yet'
                : `${status.proxies.synced} of ${status.proxies.total} proxies synced`}
            </b>
          </div>
          <div className="muted" style={{ paddingLeft: 16 }}>
            Config revision {status?.revision ?? '–'}
          </div>
        </div>
      </nav>
      <header className="bar">
        <h1>{NAV.find(here)?.label ?? 'Weft'}</h1>
        <span className="sep" />
        <select className="pill" aria-label="Namespace" value={settings.namespace} onChange={(e) => choose({ ns: e.target.value || undefined })}>
          <option value="">All namespaces</option>
          {[...new Set([...(known?.namespaces ?? []), ...(settings.namespace === '' ? [] : [settings.namespace])])].toSorted().map((n) => (
            <option key={n}>{n}</option>
          ))}
        </select>
        <span className="gap" />
        <button type="button" className="search" onClick={() => setPalette(true)}>
          <IconSearch size={14} aria-hidden="true" />
          Search or jump to<kbd>{MOD}K</kbd>
        </button>
        <select className="pill" aria-label="Range" value={settings.windowSec} onChange={(e) => choose({ range: Number(e.target.value) })}>
          {!WINDOWS.some(([seconds]) => seconds === settings.windowSec) && <option value={settings.windowSec}>Last {settings.windowSec} s</option>}
          {WINDOWS.map(([seconds, label]) => (
            <option key={seconds} value={seconds}>
              Last {label}
            </option>
          ))}
        </select>
        <span className="seg" role="group" aria-label="Mode">
          <button type="button" className={settings.paused ? '' : 'on'} aria-pressed={!settings.paused} onClick={() => settings.set({ paused: false })}>
            <i className={`dot ${liveState === 'live' ? '' : 'hollow'}`} />
            {liveState === 'live' ? 'Live' : liveState === 'lost' ? 'Lost' : 'Connecting'}
          </button>
          <button type="button" className={settings.paused ? 'on' : ''} aria-pressed={settings.paused} onClick={() => settings.set({ paused: true })}>
            Pause
          </button>
        </span>
        <button
          type="button"
          className="btn icon"
          aria-label="Switch theme"
          onClick={() => settings.set({ theme: settings.theme === 'dark' ? 'light' : 'dark' })}
        >
          {settings.theme === 'dark' ? <IconSun size={16} /> : <IconMoon size={16} />}
        </button>
      </header>
      <main>
        {liveState === 'lost' && (
          <div className="banner" role="alert">
            <IconPlugConnectedX size={14} aria-hidden="true" /> The server does not answer. Figures are those of its last word; trying again… Proxies go on with
            what they have.
          </div>
        )}
        <Outlet />
      </main>
      <div className="toasts" aria-live="polite">
        {settings.toasts.map((t) => (
          <div className="toast" key={t.id}>
            <span>{t.text}</span>
            {t.action && (
              <button
                type="button"
                className="btn sm"
                data-testid={t.action.testId}
                onClick={() => {
                  t.action?.run();
                  settings.dismiss(t.id);
                }}
              >
                {t.action.label}
              </button>
            )}
            <button type="button" aria-label="Dismiss" onClick={() => settings.dismiss(t.id)}>
              ×
            </button>
          </div>
        ))}
      </div>
      {palette && <Palette close={() => setPalette(false)} />}
      {help && <KeyHelp close={() => setHelp(false)} />}
    </div>
  );
}
