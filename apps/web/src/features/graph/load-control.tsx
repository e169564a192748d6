import { type Load, loadSchema } from '@weft/mesh-core/api';
import { IconActivity } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { request } from '../../data/client.ts';
import { useSettings } from '../../data/settings.ts';

const RATES = [0, 5, 20, 50, 100, 200, 500];

/** The demo's load generator: requests per second, set by a click. Nothing where no demo runs. */
export function LoadControl(): ReactElement | null {
  const queries = useQueryClient();
  const toast = useSettings((s) => s.toast);
  const load = useQuery({ queryKey: ['load'], queryFn: ({ signal }) => request(loadSchema, '/load', { signal }), refetchInterval: 2_000, retry: false });
  if (load.data === undefined) return null;
  const set = async (rps: number): Promise<void> => {
    try {
      queries.setQueryData(['load'], await request<Load>(loadSchema, '/load', { method: 'PUT', body: { rps } }));
    } catch (error) {
      toast({ text: error instanceof Error ? error.message : String(error) });
    }
  };
  const rates = [...new Set([...RATES, load.data.rps])].toSorted((a, b) => a - b);
  return (
    <label className="pill" title={`Demo load: ${load.data.sent} sent, ${load.data.failed} failed; ${load.data.actualRps.toFixed(1)} per second now`}>
      <IconActivity size={14} stroke={1.5} aria-hidden="true" />
      <em className="sr">Demo load</em>
      <select data-testid="demo-load" value={load.data.rps} onChange={(e) => void set(Number(e.target.value))}>
        {rates.map((rps) => (
          <option key={rps} value={rps}>
            {rps === 0 ? 'paused' : `${rps} /s`}
          </option>
        ))}
      </select>
    </label>
  );
}
