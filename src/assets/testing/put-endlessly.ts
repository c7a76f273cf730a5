/** A process that puts an object and never ends. Arguments: the folder of the bucket, and the key. */
import { openFolderBucket } from '../folder-bucket.ts';

const [folder = '', key = ''] = process.argv.slice(2);
const body = new ReadableStream<Uint8Array>({
  async pull(controller) {
    controller.enqueue(new Uint8Array(1_000));
    await new Promise((resolve) => setTimeout(resolve, 1));
  },
});
await openFolderBucket(folder, 'ASSETS_FOLDER').put(key, body, {
  bytes: Number.MAX_SAFE_INTEGER,
  contentType: 'model/gltf-binary',
});
