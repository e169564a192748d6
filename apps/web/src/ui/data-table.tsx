import { type Key, type ReactElement, type ReactNode, useState } from 'react';
import { State } from './state.tsx';

export interface Column<Row> {
  title: string;
  /** What a click on the head sorts by; a column without is not sorted. */
  sort?: (row: Row) => string | number;
  /** Numbers: to the right, largest first. */
  right?: boolean;
  cell: (row: Row) => ReactNode;
}

/** Rows under heads that sort, with the search field of lists that grow. `text` = what the field looks in. */
export function DataTable<Row>({
  rows,
  columns,
  rowKey,
  label,
  text,
  empty,
  tools,
}: {
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey(row: Row): Key;
  label: string;
  text?: (row: Row) => string;
  empty: string;
  tools?: ReactNode;
}): ReactElement {
  const [order, setOrder] = useState<{ at: number; down: boolean }>();
  const [wanted, setWanted] = useState('');
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = text === undefined || words.length === 0 ? rows : rows.filter((row) => words.every((word) => text(row).toLowerCase().includes(word)));
  const by = order === undefined ? undefined : columns[order.at]?.sort;
  const sorted = by === undefined ? found : found.toSorted((a, b) => compare(by(a), by(b)) * (order?.down === true ? -1 : 1));
  return (
    <>
      {(text !== undefined || tools !== undefined) && (
        <div className="dth">
          {tools}
          <span style={{ flex: 1 }} />
          {text !== undefined && (
            <>
              <span className="muted num">{found.length === rows.length ? rows.length : `${found.length} of ${rows.length}`}</span>
              <input className="field" placeholder="Filter" aria-label={`Filter ${label}`} value={wanted} onChange={(e) => setWanted(e.target.value)} />
            </>
          )}
        </div>
      )}
      {sorted.length === 0 ? (
        <State>{rows.length === 0 ? empty : 'Nothing matches the filter.'}</State>
      ) : (
        <div className="dtw" role="region" aria-label={label} tabIndex={0}>
          <table className="dt">
            <thead>
              <tr>
                {columns.map((column, i) => (
                  <th
                    key={column.title}
                    scope="col"
                    className={column.right === true ? 'r' : ''}
                    {...(column.sort === undefined ? {} : { 'aria-sort': order?.at === i ? (order.down ? 'descending' : 'ascending') : 'none' })}
                  >
                    {column.sort === undefined ? (
                      column.title
                    ) : (
                      <button type="button" onClick={() => setOrder(order?.at === i ? { at: i, down: !order.down } : { at: i, down: column.right === true })}>
                        {column.title}
                        <span aria-hidden="true">{order?.at === i ? (order.down ? ' ↓' : ' ↑') : ''}</span>
                      </button>
                    )}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {sorted.map((row) => (
                <tr key={rowKey(row)}>
                  {columns.map((column) => (
                    <td key={column.title} className={column.right === true ? 'r' : ''}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function compare(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
