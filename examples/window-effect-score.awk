# Two shares of neighbours, for each table of `lmkit w2v similar`; the last file is the text.
#   alike     the last three letters are those of the word
#   together  both are in one document at least five times as often as chance has it
FNR == 1 { table++; name[table] = FILENAME }
FILENAME ~ /\.tsv$/ {
  if (FNR == 1) next
  split($0, field, "\t"); asked[table, ++pairs[table]] = field[1] " " field[2]; seen[field[1]]; seen[field[2]]
  alike[table] += substr(field[1], length(field[1]) - 2) == substr(field[2], length(field[2]) - 2)
  next
}
(FNR - 1) % document == 0 { documents++ }
{ for (n = 1; n <= NF; n++) if ($n in seen && !(($n, documents) in has)) { has[$n, documents]; at[$n, ++often[$n]] = documents } }
END {
  print "window\talike\ttogether"
  for (t = 1; t < table; t++) {
    together = 0
    for (n = 1; n <= pairs[t]; n++) {
      split(asked[t, n], pair, " "); both = 0
      for (d = 1; d <= often[pair[1]]; d++) both += ((pair[2], at[pair[1], d]) in has)
      together += both * documents >= 5 * often[pair[1]] * often[pair[2]]
    }
    window = name[t]; sub(/.*\//, "", window); sub(/\.tsv$/, "", window)
    printf "%s\t%.3f\t%.3f\n", window, alike[t] / pairs[t], together / pairs[t]
  }
}
