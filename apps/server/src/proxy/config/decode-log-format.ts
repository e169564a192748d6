// SubstitutionFormatString of access logs.

import { compileLogFormat } from '../access-log/format.ts';
import type { Fields } from './fields.ts';
import type { JsonFormat, LogFormat } from './log-model.ts';

/** Undefined when there is none, or none this proxy can write. */
export function decodeLogFormat(fields: Fields | undefined): LogFormat | undefined {
  if (fields === undefined) return undefined;
  const omitEmpty = fields.flag('omitEmptyValues');
  const source = fields.object('textFormatSource');
  const json = fields.has('jsonFormat');
  const text = source?.text('inlineString') ?? fields.text('textFormat');
  // Operators of extensions are known by their names: one that is not is a problem of the format.
  fields.ignore('formatters', 'contentType');
  const format: LogFormat = json ? { kind: 'json', template: fields.raw('jsonFormat') as JsonFormat, omitEmpty } : { kind: 'text', template: text, omitEmpty };
  source?.end();
  fields.end();
  try {
    compileLogFormat(format);
    return format;
  } catch (error) {
    fields.problem(json ? 'jsonFormat' : 'textFormatSource.inlineString', (error as Error).message);
    return undefined;
  }
}
