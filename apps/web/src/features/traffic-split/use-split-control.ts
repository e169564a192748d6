import { type TrafficSplit, trafficSplitSchema } from '@weft/mesh-core/api';
import { useState } from 'react';
import { ApiFailure, request } from '../../data/client.ts';
import { useLiveSplit } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { type Weights, rebalance } from './rebalance.ts';

export interface SplitControl {
  split: TrafficSplit | undefined;
  error: string | undefined;
  /** What the sliders show: the draft, else what is configured. */
  weights: Weights;
  dirty: boolean;
  busy: boolean;
  /** Somebody else's weights, when ours were refused with 409. */
  conflict: { mine: Weights; theirs: Weights } | undefined;
  undoable: Weights | undefined;
  drag(subset: string, value: number): void;
  apply(weights?: Weights): Promise<void>;
  undo(): Promise<void>;
  discard(): void;
}
const weightsOf = (split: TrafficSplit): Weights => Object.fromEntries(split.destinations.map((d) => [d.subset, d.weight]));

/** Draft, write, undo and conflict of one service's weights; give the component another `key` for another service. */
export function useSplitControl(namespace: string, service: string): SplitControl {
  const { split, error } = useLiveSplit(namespace, service);
  const toast = useSettings((s) => s.toast);
  const [draft, setDraft] = useState<Weights>();
  const [busy, setBusy] = useState(false);
  const [conflict, setConflict] = useState<SplitControl['conflict']>();
  const [undoable, setUndoable] = useState<Weights>();
  const [failure, setFailure] = useState<string>();
  const configured = split === undefined ? {} : weightsOf(split);
  const path = `/traffic-split/${namespace}/${service}`;

  const write = async (weights: Weights, before: Weights): Promise<void> => {
    if (split === undefined) return;
    setBusy(true);
    setFailure(undefined);
    try {
      // After a conflict or an undo the held resourceVersion may be behind the live channel by a moment.
      const { resourceVersion } = conflict === undefined && undoable === undefined ? split : await request(trafficSplitSchema, path);
      await request(trafficSplitSchema, path, { method: 'PUT', body: { weights, resourceVersion } });
      setDraft(undefined);
      setConflict(undefined);
      setUndoable(before);
      const text = split.destinations.map((d) => `${d.subset} ${weights[d.subset] ?? 0} %`).join(', ');
      toast({ text: `${service}: ${text}`, action: { label: 'Undo', testId: 'split-undo-toast', run: () => void write(before, weights) } });
    } catch (caught) {
      if (caught instanceof ApiFailure && caught.status === 409) setConflict({ mine: weights, theirs: weightsOf(await request(trafficSplitSchema, path)) });
      else setFailure(caught instanceof Error ? caught.message : String(caught));
    } finally {
      setBusy(false);
    }
  };
  const weights = draft ?? configured;
  return {
    split,
    error: failure ?? error,
    weights,
    dirty: draft !== undefined && Object.keys(configured).some((s) => draft[s] !== configured[s]),
    busy,
    conflict,
    undoable,
    drag: (subset, value) => setDraft((held) => rebalance(held ?? configured, subset, value)),
    apply: (chosen) => write(chosen ?? weights, configured),
    undo: () => (undoable === undefined ? Promise.resolve() : write(undoable, configured)),
    discard: () => {
      setDraft(undefined);
      setConflict(undefined);
    },
  };
}
