# Neighbours side by side, a line for every 50th word, from pasted tables of `lmkit w2v similar`.
BEGIN { FS = "\t"; count = split(windows, window, " ") }
NR == 1 || FNR > 1 + 10 * 500 { next }
$1 != word { flush(); word = $1; for (n = 1; n <= count; n++) list[n] = ""; place = 0; number++ }
{ if (place++ < shown) for (n = 1; n <= count; n++) list[n] = list[n] " " $(3 * n - 1) }
END { flush() }
function flush(  n) {
  if (word == "" || number % 50 != 1) return
  printf "%s", word
  for (n = 1; n <= count; n++) printf "\t%s", substr(list[n], 2)
  print ""
}
