import type { SignIn } from '../sign-in.ts';

/** A model that the server has taken. */
export interface UploadedModel {
  id: string;
  name: string;
}

interface Problem {
  code?: string;
  detail?: string;
  errors?: { message: string }[];
}

/** The server takes no more in one request. */
const BYTES_MAX = 95 * 1024 * 1024;

/** Sends a file to the library of models. @throws Error that says what to do */
export async function uploadModel({ token }: SignIn, file: File): Promise<UploadedModel> {
  if (!/\.(glb|gltf)$/i.test(file.name))
    throw new Error(`${file.name} is not a .glb or .gltf file. Other programs export models as .glb.`);
  if (file.size > BYTES_MAX)
    throw new Error(`${file.name} has ${toMiB(file.size)}, and this page sends up to ${toMiB(BYTES_MAX)}.`);
  const type = /\.glb$/i.test(file.name) ? 'model/gltf-binary' : 'model/gltf+json';
  let response: Response;
  try {
    response = await fetch(`/v1/models?name=${encodeURIComponent(file.name)}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': type },
      body: file,
    });
  } catch {
    throw new Error(`${file.name} was not sent: the server does not answer. Try again when it does.`);
  }
  if (response.ok) return response.json();
  throw new Error(`${file.name} was not added. ${await explain(response)}`);
}

/** Reads a model's file. @throws Error that says why there is none */
export async function readModel({ token }: SignIn, modelId: string): Promise<ArrayBuffer> {
  const response = await fetch(`/v1/models/${encodeURIComponent(modelId)}/file`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`Its model is not shown. ${await explain(response)}`);
  return response.arrayBuffer();
}

async function explain(response: Response): Promise<string> {
  const problem: Problem = await response.json().catch(() => ({}));
  const place = problem.errors?.[0]?.message;
  return [problem.detail ?? `The server answered ${response.status}.`, place].filter(Boolean).join(' ');
}

function toMiB(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
