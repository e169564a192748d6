// Generates TypeScript for the xDS protobufs into packages/mesh-core/src/gen (git-ignored).
// Input: the protos shipped inside @grpc/grpc-js-xds (Apache-2.0) plus our own few in packages/mesh-core/protos.
// Only the import closure of ROOTS is copied, because strict compilers refuse the tree as shipped
// (v2 files are missing, and the bundled validate.proto lacks a field the Envoy files use).
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorSetSchema, MessageOptionsSchema } from '@bufbuild/protobuf/wkt';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const core = join(root, 'packages/mesh-core');
const require = createRequire(join(core, 'package.json'));
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const includeDirs = ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'].map((d) => join(deps, d));
const ownProtos = join(core, 'protos');

const ROOTS = readFileSync(join(ownProtos, 'xds-roots.txt'), 'utf8')
  .split('\n')
  .map((l) => l.trim())
  .filter((l) => l !== '' && !l.startsWith('#'));

/** Fields newer than the bundled files: file, the line they stand behind, the field. */
const NEWER_FIELDS = [
  [
    'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
    /^ *google\.protobuf\.BoolValue spawn_upstream_span = 10;$/m,
    '    bool no_context_propagation = 13;',
  ],
  ['envoy/type/tracing/v3/custom_tag.proto', /^ *Metadata metadata = 5;$/m, '    string value = 6;'],
];

/** By FieldDescriptorProto.Type; schemas.ts tells what they stand for. There are no groups. */
const TYPE_LETTERS = ' dflLiFXbs-myuepqnz';

const annotations = /^(validate|(udpa|xds|envoy)\/annotations|google\/api\/(annotations|http|field_behavior|resource))\b/;
const work = join(root, '.cache/protos');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });

function copyClosure(path) {
  const target = join(work, path);
  if (existsSync(target) || path.startsWith('google/protobuf/')) return;
  const dir = includeDirs.find((d) => existsSync(join(d, path)));
  if (dir === undefined) throw new Error(`proto ${path} is not in @grpc/grpc-js-xds; remove it from packages/mesh-core/protos/xds-roots.txt`);
  let text = readFileSync(join(dir, path), 'utf8').replaceAll('\r\n', '\n');
  if (path === 'validate/validate.proto' && !text.includes('ignore_empty')) text = addIgnoreEmpty(text);
  if (path === 'envoy/extensions/upstreams/http/v3/http_protocol_options.proto' && !text.includes('OutlierDetection')) text = addOutlierDetection(text);
  if (path === 'envoy/config/cluster/v3/circuit_breaker.proto' && !text.includes('budget_interval')) text = addBudgetInterval(text);
  for (const [file, before, added] of NEWER_FIELDS) if (path === file && !text.includes(added.trim())) text = text.replace(before, `$&\n\n${added}`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  for (const match of text.matchAll(/^import (?:public |weak )?"([^"]+)";/gm)) copyClosure(match[1]);
}

/** Envoy's files use StringRules.ignore_empty (and siblings), which the bundled older validate.proto lacks. */
function addIgnoreEmpty(text) {
  return text.replace(/^message (\w+Rules) \{$/gm, (line, name) =>
    ['StringRules', 'BytesRules', 'RepeatedRules', 'MapRules'].includes(name) || /^(U?Int|SInt|S?Fixed|Float|Double)/.test(name)
      ? `${line}\n    optional bool ignore_empty = 100;`
      : line,
  );
}

/** What newer Envoys have and the bundled files do not: which responses count as errors. */
function addOutlierDetection(text) {
  return text
    .replace(
      'import "envoy/config/core/v3/extension.proto";',
      'import "envoy/config/common/matcher/v3/matcher.proto";\nimport "envoy/config/core/v3/extension.proto";',
    )
    .replace(
      /^(\s*config\.core\.v3\.TypedExtensionConfig header_validation_config = 7;)$/m,
      '$1\n\n  message OutlierDetection {\n    config.common.matcher.v3.MatchPredicate error_matcher = 1;\n  }\n\n  OutlierDetection outlier_detection = 8;',
    );
}

/** The same: the time a retry budget looks back. */
function addBudgetInterval(text) {
  return text
    .replace('import "google/protobuf/wrappers.proto";', 'import "google/protobuf/duration.proto";\nimport "google/protobuf/wrappers.proto";')
    .replace(/^(\s*google\.protobuf\.UInt32Value min_retry_concurrency = 2;)$/m, '$1\n\n      google.protobuf.Duration budget_interval = 3;');
}

for (const path of ROOTS) copyClosure(path);
for (const file of readdirSync(ownProtos, { recursive: true }))
  if (String(file).endsWith('.proto')) {
    mkdirSync(dirname(join(work, String(file))), { recursive: true });
    cpSync(join(ownProtos, String(file)), join(work, String(file)));
  }

writeFileSync(join(work, 'buf.yaml'), 'version: v2\nmodules:\n  - path: .\n');
writeFileSync(
  join(work, 'buf.gen.yaml'),
  `version: v2
plugins:
  - local: [${JSON.stringify(process.execPath)}, ${JSON.stringify(join(dirname(require.resolve('@bufbuild/protoc-gen-es/package.json')), 'bin/protoc-gen-es'))}]
    out: ${JSON.stringify(join(core, 'src/gen'))}
    strategy: all
    opt: [target=ts, import_extension=ts]
`,
);
rmSync(join(core, 'src/gen'), { recursive: true, force: true });
const buf = (...args) =>
  execFileSync(process.execPath, [join(dirname(require.resolve('@bufbuild/buf/package.json')), 'bin/buf'), ...args], { cwd: work, stdio: 'inherit' });
buf('build', '-o', 'image.binpb');
writeFileSync(join(work, 'image.binpb'), withoutOptions(readFileSync(join(work, 'image.binpb'))));
buf('generate', 'image.binpb');
writeFileSync(join(core, 'src/gen/wire-schemas.ts'), wireSchemas(readFileSync(join(work, 'image.binpb'))));

/**
 * Rules of validation, annotations and names for other languages: nobody here reads them, and they are a good part of what descriptors
 * cost in memory. The files that only declare them are left out.
 */
function withoutOptions(image) {
  const set = fromBinary(FileDescriptorSetSchema, image);
  const strip = (list, and = () => undefined) => {
    for (const one of list) {
      // Maps are messages with this option.
      one.options = one.options?.mapEntry === true ? create(MessageOptionsSchema, { mapEntry: true }) : undefined;
      and(one);
    }
  };
  const stripMessage = (message) => {
    strip(message.field);
    strip(message.extension);
    strip(message.oneofDecl);
    strip(message.enumType, (type) => strip(type.value));
    strip(message.nestedType, stripMessage);
  };
  set.file = set.file.filter(({ name }) => !annotations.test(name));
  for (const file of set.file) {
    file.options = undefined;
    file.dependency = file.dependency.filter((name) => !annotations.test(name));
    file.publicDependency = file.weakDependency = [];
    strip(file.messageType, stripMessage);
    strip(file.enumType, (type) => strip(type.value));
    strip(file.service, (service) => strip(service.method));
  }
  return toBinary(FileDescriptorSetSchema, set);
}

/** All messages and enums as the text packages/mesh-core/src/wire/schemas.ts reads: what a proxy needs of them, in a few hundred kilobytes. */
function wireSchemas(image) {
  const types = [];
  const add = (type, scope, proto3) => {
    const name = `${scope}.${type.name}`;
    types.push({ name, type, proto3 });
    for (const inner of [...(type.nestedType ?? []), ...(type.enumType ?? [])]) add(inner, name, proto3);
  };
  for (const file of fromBinary(FileDescriptorSetSchema, image).file)
    for (const type of [...file.messageType, ...file.enumType]) add(type, `.${file.package}`, file.syntax === 'proto3');
  const lineOf = new Map(types.map(({ name }, line) => [name, line]));
  const label = (field, proto3) => {
    if (field.label === FieldDescriptorProto_Label.REPEATED) return types[lineOf.get(field.typeName)]?.type.options?.mapEntry === true ? '%' : '*';
    if (field.oneofIndex !== undefined && !field.proto3Optional && Object.hasOwn(field, 'oneofIndex')) return field.oneofIndex.toString(36);
    const explicit = field.proto3Optional || !proto3 || field.type === FieldDescriptorProto_Type.MESSAGE;
    return explicit ? '?' : '=';
  };
  const fieldText = (field, proto3) => {
    const ref = field.typeName === '' ? '' : lineOf.get(field.typeName).toString(36);
    return `;${field.number} ${field.name} ${label(field, proto3)}${TYPE_LETTERS[field.type]}${ref}`;
  };
  const lines = types.map(({ name, type, proto3 }) =>
    type.field === undefined
      ? `${name.slice(1)}${type.value.map((value) => `;${value.number} ${value.name}`).join('')}`
      : `${name.slice(1)}${type.field.map((field) => fieldText(field, proto3)).join('')}`,
  );
  return `// @generated by scripts/generate-protos.mjs\nexport const wireSchemas = ${JSON.stringify(lines.join('\n'))};\n`;
}
