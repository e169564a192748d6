import { Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';

/** Between the two lists of what runs in the mesh. */
export function ListTabs(): ReactElement {
  return (
    <nav className="seg sm" aria-label="Lists">
      <Link to="/services" activeOptions={{ exact: true }} activeProps={{ className: 'on' }}>
        Services
      </Link>
      <Link to="/workloads" activeOptions={{ exact: true }} activeProps={{ className: 'on' }}>
        Workloads
      </Link>
    </nav>
  );
}
