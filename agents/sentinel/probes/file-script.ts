import { scriptHead } from './host-answer.ts';

/** Bytes of a file that are searched, and of one whose sum is made. */
const searchedBytes = 262_144;
const summedBytes = 67_108_864;
/** Files of all globs together that are listed; the count goes on. */
export const maximumFiles = 1_000;

/**
 * Arguments: `follow` or `keep`, what is wanted of the newest files (`none`, `text`, `sum` or `both`), then paths, in which `*`
 * and `?` are expanded by the shell without splitting. Names come behind `--`; newlines in them become `?`. What a
 * symbolic link points to counts only with `follow`. Contents travel as base64.
 */
export const fileScript = String.raw`${scriptHead}
link=$1; wanted=$2; shift 2
set +f
IFS=
[ "$link" = follow ] && dash=-L || dash=
there() { if [ "$link" = follow ]; then [ -e "$1" ]; else [ -e "$1" ] || [ -h "$1" ]; fi; }
expand() { n=0; for p; do for f in $p; do printf '%s\0' "$f"; done; done; }
# A folder that may not be entered hides its files; stat says which error it was.
listing() { expand "$@" | head -z -n ${maximumFiles} | LC_ALL=C xargs -0 -r -n 200 stat $dash --printf '=%s|%Y|%U|%G|%a|%F|%n\0' -- 2>&1 | tr '\n\0' '?\n'; }
count() { expand "$@" | tr -dc '\0' | wc -c; }
newest() { expand "$@" | head -z -n ${maximumFiles} | xargs -0 -r stat $dash --printf '%Y %n\0' -- 2>/dev/null | sort -znr | head -z -n 5 | cut -z -d ' ' -f 2-; }
content() {
  newest "$@" | tr '\n\0' '?\n' | while IFS= read -r f; do
    [ "$link" = keep ] && [ -h "$f" ] && { echo "link - $f"; continue; }
    [ -f "$f" ] || { echo "odd - $f"; continue; }
    [ -r "$f" ] || { echo "closed - $f"; continue; }
    if [ "$wanted" != text ]; then
      if [ "$(stat -L -c %s -- "$f")" -gt ${summedBytes} ]; then echo "large - $f"
      else echo "sum $(limit 5 sha256sum <"$f" | cut -c1-64) $f"; fi
    fi
    [ "$wanted" = sum ] || echo "text $(tail -c ${searchedBytes} -- "$f" | base64 | tr -d '\n') $f"
  done
}
part time date +%s
part listing listing "$@"
part count count "$@"
[ "$wanted" != none ] && part content content "$@"
`;
