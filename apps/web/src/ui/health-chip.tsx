import type { Health } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconHelpCircle } from '@tabler/icons-react';
import type { ReactElement } from 'react';

const LOOK = {
  healthy: ['ok', IconCircleCheck, 'Healthy'],
  degraded: ['warn', IconAlertTriangle, 'Degraded'],
  failing: ['err', IconAlertOctagon, 'Failing'],
  idle: ['', IconCircleDashed, 'Idle'],
  unknown: ['', IconHelpCircle, 'Unknown'],
} as const;

/** A health by colour, shape and word. */
export function HealthChip({ health }: { health: Health }): ReactElement {
  const [tone, Icon, word] = LOOK[health];
  return (
    <span className={`chip ${tone}`}>
      <Icon size={12} aria-hidden="true" />
      {word}
    </span>
  );
}
