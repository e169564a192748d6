import { IconX } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';

export interface TraceSearch {
  service?: string | undefined;
  operation?: string | undefined;
  status?: 'error' | 'ok' | undefined;
  min?: number | undefined;
  max?: number | undefined;
  trace?: string | undefined;
  tags?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}
const DURATIONS = [1, 5, 10, 50, 100, 500, 1_000];

/** What to look for. Every choice is in the address. */
export function TraceFilters({
  search,
  services,
  onChange,
}: {
  search: TraceSearch;
  services: readonly { name: string; operations: readonly string[] }[];
  onChange(change: TraceSearch): void;
}): ReactElement {
  const [tags, setTags] = useState(search.tags ?? '');
  const operations = services.find((s) => s.name === search.service)?.operations ?? [];
  return (
    <form
      className="ft"
      aria-label="Filter traces"
      onSubmit={(event) => {
        event.preventDefault();
        const typed = tags.trim();
        // A trace id opens its trace.
        if (/^[0-9a-f]{32}$/i.test(typed)) {
          setTags('');
          onChange({ tags: undefined, trace: typed.toLowerCase() });
        } else onChange({ tags: typed || undefined });
      }}
    >
      <label className="pill">
        <em>Service</em>
        <select value={search.service ?? ''} onChange={(e) => onChange({ service: e.target.value || undefined, operation: undefined })}>
          <option value="">All</option>
          {services.map((s) => (
            <option key={s.name}>{s.name}</option>
          ))}
        </select>
      </label>
      <label className="pill">
        <em>Operation</em>
        <select disabled={search.service === undefined} value={search.operation ?? ''} onChange={(e) => onChange({ operation: e.target.value || undefined })}>
          <option value="">All</option>
          {operations.map((o) => (
            <option key={o}>{o}</option>
          ))}
        </select>
      </label>
      <label className="pill">
        <em>Status</em>
        <select value={search.status ?? ''} onChange={(e) => onChange({ status: e.target.value === '' ? undefined : (e.target.value as 'error' | 'ok') })}>
          <option value="">Any</option>
          <option value="error">Failed</option>
          <option value="ok">Without errors</option>
        </select>
      </label>
      <label className="pill">
        <em>Duration</em>
        <select value={search.min ?? ''} onChange={(e) => onChange({ min: e.target.value === '' ? undefined : Number(e.target.value) })}>
          <option value="">Any</option>
          {DURATIONS.map((ms) => (
            <option key={ms} value={ms}>
              over {ms} ms
            </option>
          ))}
        </select>
      </label>
      <label className="pill">
        <em>Up to</em>
        <select value={search.max ?? ''} onChange={(e) => onChange({ max: e.target.value === '' ? undefined : Number(e.target.value) })}>
          <option value="">Any</option>
          {DURATIONS.map((ms) => (
            <option key={ms} value={ms}>
              {ms} ms
            </option>
          ))}
        </select>
      </label>
      {search.from !== undefined && (
        <span className="chip acc">
          {search.from} → {search.to}
          <button type="button" aria-label="Any hop" onClick={() => onChange({ from: undefined, to: undefined })}>
            <IconX size={12} />
          </button>
        </span>
      )}
      <input
        className="field grow"
        aria-label="Attributes"
        placeholder="http.status_code=503 response_flags=UF, or a trace id"
        value={tags}
        onChange={(e) => setTags(e.target.value)}
      />
      <button type="submit" className="btn pri">
        Find traces
      </button>
    </form>
  );
}
