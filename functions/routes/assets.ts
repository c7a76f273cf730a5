import * as z from 'zod';
import type { AssetKind } from '../../src/library/asset-library.ts';
import { createAssetHandlers } from '../api/assets.ts';
import { FILE_UPLOAD, LIBRARY_MEDIA, LIBRARY_MODEL } from '../openapi/examples.ts';
import type { AnswerDoc, ContentDoc, Route } from '../openapi/types.ts';
import { answer, GONE, json, PAGE_QUERY } from './shorthand.ts';

const BYTES: ContentDoc = { schema: { type: 'string', format: 'binary' }, examples: {} };
const FILE_PROBLEMS = [
  ...(['length_required', 'length_mismatch', 'digest_mismatch', 'invalid_file'] as const),
  ...(['quota_exceeded', 'body_too_large', 'body_timeout', 'no_asset_store'] as const),
];

const LIBRARIES = {
  model: {
    path: '/v1/models',
    tag: 'Models',
    one: 'model',
    many: 'models',
    Name: 'Model',
    example: LIBRARY_MODEL,
    types: ['model/gltf-binary', 'model/gltf+json'],
    what: 'A .glb or .gltf file. It must be glTF 2.0 and contain everything that it needs. The answer has counts and the bounding box.',
  },
  media: {
    path: '/v1/media',
    tag: 'Media',
    one: 'media file',
    many: 'media files',
    Name: 'Media',
    example: LIBRARY_MEDIA,
    types: [
      ...['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/ktx2'],
      ...['audio/mpeg', 'audio/ogg', 'audio/wav', 'audio/flac', 'audio/mp4', 'audio/webm'],
      ...['video/mp4', 'video/webm'],
    ],
    what: 'An image, audio or video file. The server finds the type from its first bytes. SVG and HTML are refused.',
  },
} as const;

export const ASSET_ROUTES: readonly Route[] = [...describeLibrary('model'), ...describeLibrary('media')];

function describeLibrary(kind: AssetKind): Route[] {
  const { path, tag, one, many, Name, example, types, what } = LIBRARIES[kind];
  const handlers = createAssetHandlers(kind);
  const added: AnswerDoc = answer(`The ${one} is in the library.`, 'LibraryAsset', example, ['Location']);
  const files = Object.fromEntries([...types, 'application/octet-stream'].map((type) => [type, BYTES]));
  return [
    {
      method: 'post',
      path,
      operationId: `post${Name}`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.post,
      takesLong: true,
      summary: `Upload a ${one}, or name its address`,
      description: `${what} The same bytes are stored once for a tenant. \`Repr-Digest\` lets the bucket check them. An empty body with a \`Repr-Digest\` adds bytes that are stored already, or is 404. A JSON body names a file elsewhere, which the server never fetches.`,
      query: {
        name: {
          schema: z.string(),
          description: 'The name of the file. Default: the name in Content-Disposition.',
        },
      },
      headers: ['Content-Length', 'Repr-Digest', 'Content-Disposition'],
      body: {
        ...files,
        'application/json': {
          schema: 'AssetUrlInput',
          examples: { example: { name: 'Chair', url: 'https://models.example/chair.glb' } },
        },
      },
      answers: { 201: added },
      problems: [...FILE_PROBLEMS, 'not_found', 'malformed_json', 'unsupported_media_type', 'conflict'],
    },
    {
      method: 'get',
      path,
      operationId: `list${Name}`,
      tag,
      access: ['read'],
      handler: handlers.list,
      summary: `The ${many} of the tenant, newest first`,
      query: {
        ...PAGE_QUERY,
        sha256: {
          schema: z.string().regex(/^[0-9a-f]{64}$/),
          description: `Only the ${many} with these bytes: a SHA-256 in hexadecimal digits.`,
        },
      },
      answers: {
        200: answer(`A page of ${many}.`, 'LibraryAssetPage', { items: [example], nextCursor: null }),
      },
    },
    {
      method: 'get',
      path: `${path}/{id}`,
      operationId: `get${Name}`,
      tag,
      access: ['read', 'viewer', 'any'],
      handler: handlers.get,
      summary: `One ${one}`,
      description: `A session finds only the ${many} that the state of its space shows.`,
      answers: { 200: answer(`The ${one}.`, 'LibraryAsset', example) },
      problems: ['not_found', 'state_unsettled'],
    },
    {
      method: 'delete',
      path: `${path}/{id}`,
      operationId: `delete${Name}`,
      tag,
      access: ['write'],
      handler: handlers.remove,
      summary: `Delete a ${one}`,
      description:
        'Its bytes are deleted too, unless another item has the same. Objects that reference it stay.',
      answers: { 204: GONE },
      problems: ['not_found'],
    },
    {
      method: 'get',
      path: `${path}/{id}/file`,
      operationId: `get${Name}File`,
      tag,
      access: ['read', 'viewer', 'any'],
      handler: handlers.getFile,
      takesLong: true,
      summary: `The bytes of a ${one}`,
      headers: ['If-None-Match', 'Range', 'If-Range'],
      answers: {
        200: {
          description: 'The file.',
          headers: ['ETag', 'Accept-Ranges', 'Content-Disposition'],
          content: files,
        },
        206: {
          description: 'The requested range.',
          headers: ['ETag', 'Accept-Ranges', 'Content-Range', 'Content-Disposition'],
          content: files,
        },
        304: { description: 'The caller already has this file.', headers: ['ETag'] },
      },
      problems: ['not_found', 'range_not_satisfiable', 'no_asset_store', 'state_unsettled'],
    },
    {
      method: 'post',
      path: `${path}/uploads`,
      operationId: `begin${Name}Upload`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.beginUpload,
      takesLong: true,
      summary: `Start to upload a large ${one} in parts`,
      description:
        'Send each part with PUT, then complete the upload. After a broken connection, send the missing parts.',
      body: json('FileUploadInput', { name: 'city.glb', bytes: 300_000_000 }),
      answers: { 201: answer('The upload has begun.', 'FileUpload', FILE_UPLOAD, ['Location']) },
      problems: ['quota_exceeded', 'body_too_large', 'no_asset_store'],
    },
    {
      method: 'get',
      path: `${path}/uploads/{id}`,
      operationId: `get${Name}Upload`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.getUpload,
      summary: 'The parts that an upload lacks',
      answers: { 200: answer('The upload.', 'FileUpload', FILE_UPLOAD) },
      problems: ['not_found'],
    },
    {
      method: 'put',
      path: `${path}/uploads/{id}/parts/{part}`,
      operationId: `put${Name}Part`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.putPart,
      takesLong: true,
      summary: 'Store one part of an upload',
      description: 'Every part except the last has `partBytes` bytes. A repeat replaces the part.',
      headers: ['Content-Length'],
      body: { 'application/octet-stream': BYTES },
      answers: { 204: { description: 'The part is stored.' } },
      problems: ['not_found', 'length_required', 'length_mismatch', 'body_timeout', 'no_asset_store'],
    },
    {
      method: 'post',
      path: `${path}/uploads/{id}/complete`,
      operationId: `complete${Name}Upload`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.completeUpload,
      takesLong: true,
      summary: 'Join the parts, check the file and add it to the library',
      answers: { 201: added },
      problems: ['not_found', 'conflict', 'invalid_file', 'quota_exceeded', 'no_asset_store'],
    },
    {
      method: 'delete',
      path: `${path}/uploads/{id}`,
      operationId: `abort${Name}Upload`,
      tag,
      access: ['write', 'editor', 'any'],
      handler: handlers.abortUpload,
      takesLong: true,
      summary: 'Give up an upload and delete its parts',
      answers: { 204: GONE },
      problems: ['not_found', 'no_asset_store'],
    },
  ];
}
