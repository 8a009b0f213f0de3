# For each table of `lmkit w2v similar`: how often a neighbour beats equally frequent words; ties count half.
#   alike     it shares more letters of its ending with the query word
#   together  the query word occurs in a larger share of the documents that contain it
# 0.5 is chance, ± the standard error over query words. No parameter is tuned on these words.
# Files: lines of `count word` by falling frequency; the tables; the text.
FNR == 1 { file++; name[file] = FILENAME }
file == 1 { ranked[FNR] = $2; rank[$2] = FNR; next }
FILENAME ~ /\.tsv$/ {
  if (FNR == 1) next
  split($0, field, "\t"); word = field[1]; near = field[2]
  if (word != last[file]) { last[file] = word; asked[file, ++words[file]] = word }
  neighbour[file, word, ++neighbours[file, word]] = near; is[file, word, near]; seen[word]; seen[near]
  seen[ranked[above(near)]]; seen[ranked[below(near)]]; next
}
(FNR - 1) % document == 0 { documents++ }
{ for (n = 1; n <= NF; n++) if ($n in seen && !(($n, documents) in has)) { has[$n, documents]; at[$n, ++often[$n]] = documents } }
END {
  print "window\talike\t±\ttogether\t±"
  for (t = 2; t < file; t++) {
    for (n = 1; n <= words[t]; n++) judge(t, asked[t, n])
    window = name[t]; sub(/.*\//, "", window); sub(/\.tsv$/, "", window)
    printf "%s\t%s\t%s\n", window, mean(t, "alike"), mean(t, "together")
  }
}
# A twentieth of the ranks up and down, where words are about equally frequent.
function above(word) { return int(rank[word] / 1.05) }
function below(word) { return int(rank[word] * 1.05) + 1 }
function judge(t, word,  n, near, games, alike, together, way, control) {
  for (n = 1; n <= neighbours[t, word]; n++) {
    near = neighbour[t, word, n]
    for (way = 0; way < 2; way++) {
      control = ranked[way ? above(near) : below(near)]
      if (control == "" || control == word || control == near || (t, word, control) in is) continue
      games++; alike += wins(ending(word, near), ending(word, control))
      together += wins(met(word, near), met(word, control))
    }
  }
  if (games) { add(t, "alike", alike / games); add(t, "together", together / games) }
}
function wins(one, other) { return (one > other) + (one == other) / 2 }
function ending(one, other,  n) {
  while (n < length(one) && substr(one, length(one) - n, 1) == substr(other, length(other) - n, 1)) n++
  return n
}
function met(word, other,  d, both) {
  if ((word, other) in held) return held[word, other]
  for (d = 1; d <= often[other]; d++) both += ((word, at[other, d]) in has)
  return held[word, other] = often[other] ? both / often[other] : 0
}
function add(t, what, share) { number[t, what]++; sum[t, what] += share; squares[t, what] += share * share }
function mean(t, what,  n, m) {
  n = number[t, what]; if (!n) return "none\tnone"
  m = sum[t, what] / n
  return sprintf("%.3f\t%.3f", m, n > 1 ? sqrt((squares[t, what] / n - m * m) / (n - 1)) : 0)
}
