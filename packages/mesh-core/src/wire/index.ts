export { GrpcMessages } from './grpc-messages.ts';
export { messageToJson } from './json.ts';
export { enumNumber } from './schemas.ts';
export { WireReader, WireType } from './reader.ts';
export type { JsonObject, JsonValue } from './well-known.ts';
export { WireWriter } from './writer.ts';
