import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeWith } from '../../../test/parts/daemon.ts';
import { startPrometheus } from '../../../test/parts/prometheus.ts';
import { until } from '../../../test/parts/until.ts';
import { expandTemplate } from './go-template.ts';

const labels = { instance: 'ct101.lan:9100', mountpoint: '/srv', job: 'home_node', odd: 'a-b_c "q"' };
const value = 1_234_560.75;

/** What the real Prometheus expands, the same. */
const shared = [
  '{{ $labels.instance }} is at {{ $value }}',
  '{{ .Labels.mountpoint }} {{ .Value }} [{{ .Labels.missing }}]',
  '{{ $value | humanize }} {{ humanize1024 $value }} {{ humanizePercentage 0.8765 }}',
  '{{ humanizeDuration 93784.5 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration -61 }} {{ humanizeDuration 5.5 }}',
  '{{ humanize 0.000123 }} {{ humanize 0 }} {{ humanize 999.94 }} {{ humanize 12345678 }} {{ humanize1024 0.5 }}',
  '{{ humanizeTimestamp 1795186971.194 }}',
  '{{ printf "%.2f|%5.1f|%-8s|%q|%e|%g|%%|%v" $value $value "ab" "x\\"y" $value 0.00001 $value }}',
  '{{ printf "%d %05d %x %s" 42 42 255 $labels.job }} {{ printf "%d" $value }} {{ printf "%s %d" "one" }}',
  '{{ printf "%v %v %v %v" 1e21 1e20 0.0001 0.00001 }} {{ 100000.0 }} {{ 21e6 }}',
  '{{ title "ab cd-ef gh_ij" }} {{ toUpper "äb" }} {{ toLower "ÄB" }}',
  '{{ reReplaceAll "(.*):\\\\d+" "$1" $labels.instance }} {{ reReplaceAll "(?P<a>[a-z]+)" "<${a}>" "ab12cd" }}',
  '{{ reReplaceAll "x*" "-" "abc" }} {{ match "^ct\\\\d+" $labels.instance }} {{ reReplaceAll "a" "$1x" "banana" }}',
  '{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ stripPort "[::1]:80" }} {{ stripDomain "10.0.0.1:80" }}',
  '{{ if gt $value 5.0 }}much{{ else if gt $value 1.0 }}some{{ else }}none{{ end }}',
  '{{ if and (eq .Labels.job "home_node") (not .Labels.missing) }}yes{{ else }}no{{ end }}',
  '{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}',
  '{{ with .Labels.missing }}there{{ else }}not there{{ end }} {{ with $x := "y" }}{{ $x }}{{ . }}{{ end }}',
  'a {{- /* left out */ -}} b {{ "c" -}}   d{{ `raw {{` }}',
  '{{ $labels }} {{ len $labels.job }} {{ index $labels "job" }} {{ print 1 2 "a" "b" 3 }} {{ true }}',
  '{{ $x := "first" }}{{ $x }}{{ $x := printf "%s%s" $x "!" }}{{ $x }} {{ ("in" | printf "%s-%s" "a") }}',
  '{{ parseDuration "1h30m" }} {{ args "a" 2 | printf "%v" }} {{ or "" "b" }} {{ and "a" "" | len }}',
];

/** What nobody can expand without the server or at all: the text stays. */
const raw = [
  '{{ query "up" | first | value }} of {{ $labels.instance }}',
  '{{ define "x" }}y{{ end }}',
  '{{ if }}x{{ end }}',
  '{{ $labels.instance ',
  '{{ nonsense 1 }}',
  '{{ end }}',
  '{{ constructor }}{{ __proto__ }}',
  '{{ printf 1 }}',
];

describe('templates of alert rules', () => {
  test.each(raw)('%s stays as it is', (text) => {
    expect(expandTemplate(text, { labels, value })).toBe(text);
  });

  test('comparing the value with a whole number works, although Go refuses it', () => {
    expect(expandTemplate('{{ if gt $value 10 }}much{{ end }}', { labels, value })).toBe('much');
  });

  test('values that are no numbers are shown as Go shows them', () => {
    const shown = (number: number): string =>
      expandTemplate('{{ $value }} {{ humanize $value }}', { labels, value: number });
    expect([Number.NaN, Number.POSITIVE_INFINITY, -0].map(shown)).toEqual(['NaN NaN', '+Inf +Inf', '-0 -0']);
  });

  test('a label is data: what it says is never expanded', () => {
    const hostile = { x: '{{ $value }}{{ reReplaceAll "a" "b" "c" }}' };
    expect(expandTemplate('{{ $labels.x }}', { labels: hostile, value })).toBe(hostile.x);
  });

  test('what would take for ever or fill the memory leaves the text alone', () => {
    const doubling = `{{ $x := "0123456789" }}${'{{ $x := printf "%s%s" $x $x }}'.repeat(60)}{{ $x }}`;
    const nested = `${'{{ range $labels }}'.repeat(12)}x${'{{ end }}'.repeat(12)}`;
    const slow = '{{ reReplaceAll "(a+)+$" "" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" }}';
    for (const text of [doubling, nested, slow, '{{('.repeat(2_000)]) {
      expect(expandTemplate(text, { labels, value })).toBe(text);
    }
  });

  test('any text gives a bounded text', () => {
    const part = fc.constantFrom(
      '{{',
      '}}',
      '{{-',
      '-}}',
      ' if ',
      ' range ',
      ' else ',
      ' end ',
      '$labels',
      '$x',
      ':=',
      '|',
      '(',
      ')',
      '"',
      '.',
      'printf',
      ' 1 ',
      ' "%d" ',
      'a',
    );
    const text = fc
      .array(fc.oneof(part, fc.string({ maxLength: 5 })), { maxLength: 40 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (template) => {
        expect(expandTemplate(template, { labels, value }).length).toBeLessThanOrEqual(8_000);
      }),
      { numRuns: 2_000 },
    );
  });
});

describeWith(['prometheus'], 'beside the real Prometheus', () => {
  test('each template becomes the same text', async () => {
    const pairs = Object.entries(labels).reduce(
      (expression, [name, text]) => `label_replace(${expression}, "${name}", ${JSON.stringify(text)}, "", "")`,
      `vector(${value})`,
    );
    const annotations = Object.fromEntries(shared.map((text, index) => [`t${index}`, text]));
    const rules = { groups: [{ name: 'g', rules: [{ alert: 'A', expr: pairs, annotations }] }] };
    await using prometheus = await startPrometheus({ rules });
    let expanded: Record<string, string> = {};
    await until(async () => {
      const { data } = (await (await fetch(`${prometheus.url}/api/v1/alerts`)).json()) as {
        data: { alerts: { annotations: Record<string, string> }[] };
      };
      expanded = data.alerts[0]?.annotations ?? {};
      return data.alerts.length > 0;
    }, 'the alert');
    const ours = Object.fromEntries(
      shared.map((text, index) => [`t${index}`, expandTemplate(text, { labels, value })]),
    );
    expect(ours).toEqual(expanded);
  });
});
