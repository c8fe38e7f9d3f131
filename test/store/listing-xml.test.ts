import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readListingXml } from '../../src/store/s3/listing-xml.js';

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">';

function escaped(text: string): string {
  return text.replace(/[&<>"'\r\n]/g, (one) => `&#x${one.charCodeAt(0).toString(16)};`);
}

describe('the answer to a listing', () => {
  it('is read whatever texts it has', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    const object = fc.record({ Key: text, ETag: text, Size: fc.nat().map(String) });
    fc.assert(
      fc.property(fc.array(object), fc.array(text), text, (items, prefixes, token) => {
        const tag = (name: string, value: string) => `<${name}>${escaped(value)}</${name}>`;
        const contents = items.map(
          ({ Key, ETag, Size }) =>
            `<Contents>${tag('Key', Key)}${tag('ETag', ETag)}${tag('Size', Size)}</Contents>`,
        );
        const groups = prefixes.map(
          (prefix) => `<CommonPrefixes>${tag('Prefix', prefix)}</CommonPrefixes>`,
        );
        const xml = `${HEAD}<Prefix/>${contents.join('\n')}${groups.join('')}${tag('NextContinuationToken', token)}</ListBucketResult>`;
        expect(readListingXml(xml, 'Contents')).toEqual({
          fields: { NextContinuationToken: token },
          items,
          prefixes,
        });
      }),
    );
  });

  it('is read as different servers write it', () => {
    const xml = `${HEAD}
      <Name>fleet</Name><Prefix></Prefix><IsTruncated>false</IsTruncated>
      <Version><Key>a&amp;b</Key><IsLatest>true</IsLatest><ETag>&quot;1&#34;</ETag>
        <Owner><ID>me</ID></Owner></Version>
      <DeleteMarker><Key>gone</Key></DeleteMarker></ListBucketResult>`;
    const { fields, items } = readListingXml(xml, 'Version');
    expect(fields).toMatchObject({ Name: 'fleet', Prefix: '', IsTruncated: 'false' });
    expect(items).toEqual([{ Key: 'a&b', IsLatest: 'true', ETag: '"1"', ID: 'me' }]);
  });

  it('is refused with what only other XML has', () => {
    expect(() => readListingXml(`${HEAD}<![CDATA[x]]></ListBucketResult>`, 'Contents')).toThrow(
      'XML that is not known',
    );
  });
});
