import { type ReactElement, useId } from 'react';
import type { PolicyField, PolicyForm } from './policy-form.ts';

const BALANCERS = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'PASSTHROUGH'];
const RETRY_ON = ['5xx', 'gateway-error', 'connect-failure', 'reset', 'retriable-4xx', 'connect-failure,refused-stream,unavailable,cancelled,503'];
interface Field {
  field: PolicyField;
  label: string;
  /** An example of a value; for numbers the unit. */
  hint: string;
  number?: boolean;
  options?: readonly string[];
  /** Offered while typing, others are taken too. */
  offers?: readonly string[];
  /** Shown where this other field has a value. */
  with?: PolicyField;
}
interface Group {
  title: string;
  what: string;
  fields: readonly Field[];
}

function groups(subsets: readonly string[]): readonly Group[] {
  return [
    { title: 'Timeout', what: 'Answer 504 when a request takes longer.', fields: [{ field: 'timeout', label: 'Timeout', hint: '2s' }] },
    {
      title: 'Retries',
      what: 'Try again when the answer is a failure.',
      fields: [
        { field: 'retryAttempts', label: 'Attempts', hint: '2', number: true },
        { field: 'retryTimeout', label: 'Timeout of one try', hint: '500ms', with: 'retryAttempts' },
        { field: 'retryOn', label: 'On', hint: '5xx', offers: RETRY_ON, with: 'retryAttempts' },
      ],
    },
    {
      title: 'Inject a delay',
      what: 'Hold requests up, to see what callers make of it.',
      fields: [
        { field: 'delay', label: 'Delay', hint: '2s' },
        { field: 'delayPercent', label: 'Of requests, %', hint: '100', number: true, with: 'delay' },
      ],
    },
    {
      title: 'Inject failures',
      what: 'Answer with a status in place of the service.',
      fields: [
        { field: 'abort', label: 'HTTP status', hint: '503', number: true },
        { field: 'abortPercent', label: 'Of requests, %', hint: '100', number: true, with: 'abort' },
      ],
    },
    ...(subsets.length === 0
      ? []
      : [
          {
            title: 'Mirror',
            what: 'Send a copy to a version; its answers are thrown away.',
            fields: [
              { field: 'mirror' as const, label: 'To version', hint: 'nobody', options: subsets },
              { field: 'mirrorPercent' as const, label: 'Of requests, %', hint: '100', number: true, with: 'mirror' as const },
            ],
          },
          {
            title: 'Route by header',
            what: 'Requests with this header go to one version, before any weights.',
            fields: [
              { field: 'headerName' as const, label: 'Header', hint: 'end-user' },
              { field: 'headerValue' as const, label: 'Is exactly', hint: 'jason', with: 'headerName' as const },
              { field: 'headerSubset' as const, label: 'To version', hint: 'choose', options: subsets, with: 'headerName' as const },
            ],
          },
        ]),
    {
      title: 'Circuit breaker',
      what: 'Refuse what is too much; leave out endpoints that keep failing.',
      fields: [
        { field: 'maxConnections', label: 'Most connections', hint: '100', number: true },
        { field: 'maxPending', label: 'Most waiting requests', hint: '50', number: true },
        { field: 'ejectAfter', label: 'Leave out after 5xx in a row', hint: '5', number: true },
        { field: 'ejectInterval', label: 'Look every', hint: '10s', with: 'ejectAfter' },
        { field: 'ejectTime', label: 'Leave out for', hint: '30s', with: 'ejectAfter' },
      ],
    },
    {
      title: 'Load balancing',
      what: 'Which endpoint gets the next request.',
      fields: [{ field: 'balancer', label: 'Policy', hint: 'Istio’s default', options: BALANCERS }],
    },
  ];
}

/** The fields by what they are for; empty = not set. */
export function PolicyFields({
  form,
  subsets,
  onChange,
}: {
  form: PolicyForm;
  subsets: readonly string[];
  onChange(change: Partial<PolicyForm>): void;
}): ReactElement {
  return (
    <div className="polf">
      {groups(subsets).map((group) => (
        <fieldset className="card" key={group.title}>
          <legend>{group.title}</legend>
          <p className="muted">{group.what}</p>
          <div className="polr">
            {group.fields
              .filter((f) => f.with === undefined || form[f.with] !== '' || form[f.field] !== '')
              .map((f) => (
                <Input key={f.field} field={f} value={form[f.field]} onChange={(value) => onChange({ [f.field]: value })} />
              ))}
          </div>
        </fieldset>
      ))}
    </div>
  );
}

function Input({ field, value, onChange }: { field: Field; value: string; onChange(value: string): void }): ReactElement {
  const list = useId();
  return (
    <label>
      <span>{field.label}</span>
      {field.options === undefined ? (
        <input
          className="field"
          name={field.field}
          placeholder={field.hint}
          inputMode={field.number === true ? 'decimal' : 'text'}
          {...(field.offers === undefined ? {} : { list })}
          value={value}
          onChange={(e) => onChange(e.target.value.trim())}
        />
      ) : (
        <select className="pill" name={field.field} value={value} onChange={(e) => onChange(e.target.value)}>
          <option value="">{field.hint}</option>
          {[...new Set([...field.options, ...(value === '' ? [] : [value])])].map((option) => (
            <option key={option}>{option}</option>
          ))}
        </select>
      )}
      {field.offers !== undefined && (
        <datalist id={list}>
          {field.offers.map((offer) => (
            <option key={offer} value={offer} />
          ))}
        </datalist>
      )}
    </label>
  );
}
