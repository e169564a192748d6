import type { KeyboardEvent, PointerEvent, ReactElement } from 'react';

/** One version's weight, 0-100, by pointer or keyboard. `onCommit` follows a pointer's release. */
export function SplitSlider({
  subset,
  value,
  color,
  disabled,
  onChange,
  onCommit,
}: {
  subset: string;
  value: number;
  color: string;
  disabled: boolean;
  onChange(value: number): void;
  onCommit(): void;
}): ReactElement {
  const follow = (event: PointerEvent<HTMLElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    onChange(((event.clientX - box.left) / box.width) * 100);
  };
  const key = (event: KeyboardEvent): void => {
    const to = {
      ArrowRight: value + 1,
      ArrowUp: value + 1,
      ArrowLeft: value - 1,
      ArrowDown: value - 1,
      PageUp: value + 10,
      PageDown: value - 10,
      Home: 0,
      End: 100,
    }[event.key];
    if (event.key === 'Enter') onCommit();
    if (to === undefined || disabled) return;
    event.preventDefault();
    onChange(to);
  };
  return (
    <span
      className="trk"
      role="slider"
      tabIndex={disabled ? -1 : 0}
      data-testid={`split-slider-${subset}`}
      aria-label={`Weight of ${subset}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value}
      aria-valuetext={`${value} %`}
      aria-disabled={disabled}
      onKeyDown={key}
      onPointerDown={(e) => {
        if (!disabled) {
          e.currentTarget.setPointerCapture(e.pointerId);
          follow(e);
        }
      }}
      onPointerMove={(e) => {
        if (e.currentTarget.hasPointerCapture(e.pointerId)) follow(e);
      }}
      onPointerUp={(e) => {
        if (e.currentTarget.hasPointerCapture(e.pointerId)) onCommit();
      }}
    >
      <i style={{ width: `${value}%`, background: color }} />
      <u style={{ left: `${value}%`, borderColor: color }} />
    </span>
  );
}
