/** Documents about sub-resources that are accepted when they ask for nothing new. */
import { childText, readXml } from './xml-reader.ts';

/**
 * Whether an AccessControlPolicy gives its owner full control and nobody else anything.
 *
 * @throws S3Error `MalformedXML`.
 */
export function isOwnerOnlyAcl(body: Uint8Array, ownerId: string): boolean {
  const root = readXml(body, 'AccessControlPolicy');
  const list = root.children.find(({ name }) => name === 'AccessControlList');
  const grants = list?.children ?? [];
  return (
    grants.length > 0 &&
    grants.every((grant) => {
      const grantee = grant.children.find(({ name }) => name === 'Grantee');
      return (
        grantee !== undefined &&
        childText(grantee, 'ID') === ownerId &&
        childText(grant, 'Permission') === 'FULL_CONTROL'
      );
    })
  );
}

/**
 * Whether a Tagging document names no tag.
 *
 * @throws S3Error `MalformedXML`.
 */
export function isEmptyTagging(body: Uint8Array): boolean {
  const root = readXml(body, 'Tagging');
  return root.children.every(({ name, children }) => name === 'TagSet' && children.length === 0);
}
