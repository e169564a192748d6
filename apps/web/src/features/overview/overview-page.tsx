import { Link } from '@tanstack/react-router';
import type { ReactElement, ReactNode } from 'react';
import { useProblems, useRevisions, useServices, useStatus } from '../../data/hooks.ts';
import { useInNamespace, useSettings } from '../../data/settings.ts';
import { clock } from '../../ui/format.ts';
import { ProblemList } from '../config/problem-list.tsx';
import { ServicesTable } from '../services/services-page.tsx';
import { GoldenCharts } from '../services/traffic-charts.tsx';

/** State of the whole mesh: what is wrong, what goes on, what changed. */
export function OverviewPage(): ReactElement {
  const status = useStatus();
  const problems = useProblems().data?.items ?? [];
  const revisions = useRevisions().data?.items ?? [];
  const whole = useSettings((s) => s.namespace === '');
  const inNamespace = useInNamespace();
  const services = useServices().data?.items.filter((s) => inNamespace(s.namespace)) ?? [];
  const bad = services.filter((s) => s.health === 'failing' || s.health === 'degraded');
  const wrong = problems.filter((p) => inNamespace(p.ref?.namespace));
  const errors = wrong.filter((p) => p.severity === 'error').length;
  const warnings = wrong.filter((p) => p.severity === 'warning').length;
  return (
    <div className="page">
      {status && (
        <div className="cards">
          <Card title="Services" to="/services" tone={bad.length === 0 ? '' : bad.some((s) => s.health === 'failing') ? 'errt' : 'warnt'}>
            {bad.length === 0 ? services.length : `${bad.length} of ${services.length}`}
            <small>{bad.length === 0 ? ' none degraded' : ' degraded or failing'}</small>
          </Card>
          <Card title="Proxies in step" to="/proxies" tone={status.proxies.nacked > 0 ? 'errt' : status.proxies.synced < status.proxies.total ? 'warnt' : ''}>
            {status.proxies.synced} of {status.proxies.total}
            {status.proxies.nacked > 0 && `, ${status.proxies.nacked} refused`}
          </Card>
          <Card title="Config problems" to="/config" tone={errors > 0 ? 'errt' : warnings > 0 ? 'warnt' : ''}>
            {errors + warnings === 0 ? 'none' : `${errors} ${errors === 1 ? 'error' : 'errors'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`}
          </Card>
          <Card title="Config revision" to="/config">
            {status.revision}
            {revisions[0] !== undefined && <small>{` at ${clock(revisions[0].at)} by ${revisions[0].actor}`}</small>}
          </Card>
        </div>
      )}
      {whole && <GoldenCharts of="" />}
      {wrong.length > 0 && (
        <section className="card">
          <div className="h">What is wrong</div>
          <ProblemList problems={wrong} />
        </section>
      )}
      <div className="card">
        <ServicesTable tools={<b>Services</b>} />
      </div>
    </div>
  );
}

function Card({
  title,
  to,
  tone = '',
  children,
}: {
  title: string;
  to: '/services' | '/proxies' | '/config';
  tone?: string;
  children: ReactNode;
}): ReactElement {
  return (
    <Link className="card" to={to}>
      {title}
      <b className={tone}>{children}</b>
    </Link>
  );
}
