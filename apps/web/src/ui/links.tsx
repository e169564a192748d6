import { type ObjectRef, refKey } from '@weft/mesh-core/model';
import { Link } from '@tanstack/react-router';
import type { ReactElement, ReactNode } from 'react';

/** To an object in the editor, by kind and name unless told. */
export function ObjectLink({ of, className = 'brk', children }: { of: ObjectRef; className?: string; children?: ReactNode }): ReactElement {
  return (
    <Link to="/config" search={{ object: refKey(of) }} className={className}>
      {children ?? `${of.kind} ${of.name}`}
    </Link>
  );
}

interface Named {
  namespace: string;
  name: string;
  className?: string;
  /** The name unless told. */
  children?: ReactNode;
}

export function WorkloadLink({ namespace, name, className = 'brk', children }: Named): ReactElement {
  return (
    <Link to="/workloads/$namespace/$name" params={{ namespace, name }} className={className}>
      {children ?? name}
    </Link>
  );
}

export function ServiceLink({ namespace, name, className = 'brk', children }: Named): ReactElement {
  return (
    <Link to="/services/$namespace/$name" params={{ namespace, name }} className={className}>
      {children ?? name}
    </Link>
  );
}
