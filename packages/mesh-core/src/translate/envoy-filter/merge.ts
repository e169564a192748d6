// Istio's merge of a patch into a message: set fields replace, messages merge, lists grow (or are replaced), and what is packed
// in an Any of the same type is merged inside.

import { type DescField, type DescMessage, type Message, fromBinary, isFieldSet, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { registry } from '../registry.ts';

/** Well-known types that are one value, not parts. */
const WHOLE = /^google\.protobuf\.(Duration|Timestamp|\w+Value)$/;

/** Changes `target`. `replaceLists`: operation MERGE_AND_REPLACE_LIST. */
export function mergeMessage(schema: DescMessage, target: Message, source: Message, replaceLists = false): void {
  if (schema.typeName === AnySchema.typeName) return mergeAny(target as Any, source as Any, replaceLists);
  const to = reflect(schema, target);
  const from = reflect(schema, source);
  for (const field of schema.fields) if (isFieldSet(source, field)) mergeField(to, from, field, replaceLists);
}

function mergeField(to: ReflectMessage, from: ReflectMessage, field: DescField, replaceLists: boolean): void {
  switch (field.fieldKind) {
    case 'list': {
      const list = to.get(field);
      if (replaceLists) list.clear();
      for (const value of from.get(field)) list.add(value);
      return;
    }
    case 'map': {
      const map = to.get(field);
      for (const [key, value] of from.get(field)) {
        const known = map.get(key);
        if (field.mapKind === 'message' && known !== undefined)
          mergeMessage(field.message, (known as ReflectMessage).message, (value as ReflectMessage).message, replaceLists);
        else map.set(key, value);
      }
      return;
    }
    case 'message':
      if (WHOLE.test(field.message.typeName) || !to.isSet(field)) to.set(field, from.get(field));
      else {
        const part = to.get(field);
        mergeMessage(field.message, part.message, from.get(field).message, replaceLists);
        to.set(field, part);
      }
      return;
    case 'scalar':
    case 'enum':
      to.set(field, from.get(field));
  }
}

/** Of another type than what is there, or of one not known here: it replaces. */
function mergeAny(target: Any, source: Any, replaceLists: boolean): void {
  const schema = registry.getMessage(source.typeUrl.slice(source.typeUrl.lastIndexOf('/') + 1));
  if (schema === undefined || target.typeUrl !== source.typeUrl) {
    target.typeUrl = source.typeUrl;
    target.value = source.value;
    return;
  }
  const message = fromBinary(schema, target.value);
  mergeMessage(schema, message, fromBinary(schema, source.value), replaceLists);
  target.value = toBinary(schema, message);
}
