import { find } from '../dom.ts';
import { type AuditEntry, describeAudit, loadAudit } from './audit-rows.ts';
import type { AuditFilter, Context, Section } from './context.ts';
import { isolate, make, makeRow, readField, readTime, writeField } from './elements.ts';
import { showPages } from './pages.ts';

const FIELDS = ['space', 'object', 'actor', 'table'] as const;

export interface AuditSection extends Section {
  open(filter: AuditFilter): void;
}

/** The newest changes of the tenant, by space, object, actor, table and time. */
export function showAudit({ server }: Context): AuditSection {
  const form = find<HTMLFormElement>('audit-form');
  const readFilter = (): AuditFilter => {
    const [from, to] = [readTime(form, 'from'), readTime(form, 'to')];
    return {
      ...Object.fromEntries(FIELDS.map((name) => [name, readField(form, name)])),
      ...(from !== null && { from }),
      ...(to !== null && { to }),
    };
  };
  let filter: AuditFilter = {};
  const pages = showPages<AuditEntry>({
    label: 'Audit',
    columns: ['Time', 'Actor', 'Table', 'Action', 'Space', 'Object or person', 'Old', 'New', 'Request'],
    none: 'The audit has no such changes.',
    load: (cursor) => loadAudit(server, filter, cursor),
    row(entry) {
      const { time, actor, action, before, after, request } = describeAudit(entry);
      const subject = isolate(entry.objectId ?? entry.userId ?? '–');
      return makeRow(
        time,
        actor,
        make('span', { className: 'name' }, entry.table),
        action,
        isolate(entry.spaceId ?? '–'),
        subject,
        before,
        after,
        request,
      );
    },
  });
  find('audit').append(pages.element);
  const show = () => {
    filter = readFilter();
    void pages.reload();
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    show();
  });
  return {
    show,
    open(wanted) {
      form.reset();
      for (const name of FIELDS) writeField(form, name, wanted[name] ?? '');
    },
  };
}
