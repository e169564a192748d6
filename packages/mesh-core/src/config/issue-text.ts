// zod's issues in words of the configuration: field, value, what is wrong, and the field that was probably meant.

import { z } from 'zod';
import type { FieldPath } from './field-path.ts';
import { didYouMean } from './nearest.ts';

export interface FieldIssue {
  path: FieldPath;
  message: string;
}

/** Every issue of `error` for `value` (what was parsed by `schema`, itself the field `name`), an unknown field each on its own. */
export function fieldIssues(error: z.ZodError, schema: z.ZodType, value: unknown, name: string): FieldIssue[] {
  return error.issues.flatMap((issue): FieldIssue[] => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => {
        const known = fieldsAt(schema, path);
        return {
          path: [...path, key],
          message: `unknown field ${key}${didYouMean(key, known) || (known.length === 0 ? '' : `; known here: ${known.join(', ')}`)}`,
        };
      });
    const found = valueAt(value, path);
    const field = path.findLast((part) => typeof part === 'string') ?? name;
    if (found === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) return [{ path, message: `${field} is required` }];
    return [{ path, message: isPlain(found) ? `${field} ${JSON.stringify(found)}: ${words(issue)}` : words(issue) }];
  });
}

function words(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input')) return `must be ${article(issue.expected)}`;
  if (issue.code === 'too_small' && issue.origin === 'number') return `must be at least ${issue.minimum}`;
  if (issue.code === 'too_big' && issue.origin === 'number') return `must be at most ${issue.maximum}`;
  if (issue.code === 'too_big' && issue.origin === 'string') return `must have at most ${issue.maximum} characters`;
  // The branch of a union that fits the value's type says most; the others only say that the type is another.
  if (issue.code === 'invalid_union')
    return issue.errors.flat().find((inner) => inner.code !== 'invalid_type' && inner.code !== 'invalid_value')?.message ?? issue.message;
  return issue.message;
}

function article(type: string): string {
  if (type === 'record' || type === 'object') return 'a map of fields';
  if (type === 'array') return 'a list';
  if (type === 'boolean') return 'true or false';
  if (type === 'string') return 'a string: put it in quotes';
  return type === 'int' ? 'a whole number' : `a ${type}`;
}

function isPlain(value: unknown): boolean {
  return value === null || typeof value === 'number' || typeof value === 'boolean' || (typeof value === 'string' && value.length <= 80);
}

function valueAt(value: unknown, path: FieldPath): unknown {
  let current = value;
  for (const key of path)
    current = typeof current === 'object' && current !== null && Object.hasOwn(current, key) ? (current as Record<string | number, unknown>)[key] : undefined;
  return current;
}

/** Names of the fields a strict object at `path` takes; empty where the schema has none. */
function fieldsAt(schema: z.core.$ZodType, path: FieldPath): string[] {
  const [head, ...rest] = path;
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return fieldsAt(schema.unwrap(), path);
  if (schema instanceof z.ZodPipe) return fieldsAt(schema.out, path);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => fieldsAt(option as z.core.$ZodType, path));
  if (schema instanceof z.ZodObject) {
    if (head === undefined) return Object.keys(schema.shape as object);
    const field = (schema.shape as Record<string, z.core.$ZodType | undefined>)[String(head)];
    return field === undefined ? [] : fieldsAt(field, rest);
  }
  if (head === undefined) return [];
  if (schema instanceof z.ZodArray) return fieldsAt(schema.element as z.core.$ZodType, rest);
  return schema instanceof z.ZodRecord ? fieldsAt(schema.valueType as z.core.$ZodType, rest) : [];
}
