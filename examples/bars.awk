# Draw bars with intervals as SVG: `awk -F '\t' -v title=TEXT -f examples/bars.awk TABLE`.
# Rows: group, bar, value, low, high. Bars of a group are side by side, each with its value; the axis ends at 1, or where
# all values fit. Colours and letters are those of `--plot`, light and dark; a description has all values.

function escaped(said) { gsub(/&/, "\\&amp;", said); gsub(/</, "\\&lt;", said); gsub(/"/, "\\&quot;", said); return said }
function wide(said, size) { return length(said) * size * .6 }
function brief(v) { return v + 0 && v < .001 ? sprintf("%.0e", v) : v < 1 ? sprintf("%.3f", v) + 0 "" : sprintf("%.3g", v) }
function level(v) { return floor - tall * v / top }
function words(x, down, size, said, more) {
  printf "<text x=\"%.0f\" y=\"%.1f\" font-size=\"%d\" %s>%s</text>\n", x, down, size, more ? more : ink, escaped(said)
}

!NF { next }
{
  if (!($1 in groups)) { groups[$1] = ++n; names[n] = $1 }
  if (!($2 in bars)) { bars[$2] = ++m; labels[m] = $2 }
  value[$1, $2] = $3; low[$1, $2] = $4; high[$1, $2] = $5
  if ($3 + 0 > most) most = $3 + 0
  if ($5 != "" && $5 + 0 > most) most = $5 + 0
  shown[$1, $2] = brief($3)
  if (wide(shown[$1, $2], small) > longest) longest = wide(shown[$1, $2], small)
  if (wide($1, text) > group) group = wide($1, text)
}

BEGIN { small = 15; text = 17; large = 22; tall = 260; left = 70; room = 24
  ink = "class=\"f-ink\" fill=\"#111827\""
  split("#0072b2 #d55e00 #009e73 #aa4499 #b8860b #56b4e9", light, " ")
  split("#56b4e9 #ff8f45 #2fd0a0 #e29bd0 #f0c94d #a9d8f5", dark, " ")
}

END {
  top = most <= .1 ? (most ? most : 1) : most <= 1 ? 1 : int(most) + 1
  bar = longest + 4 > 38 ? longest + 4 : 38
  slot = m * bar + room > group + 14 ? m * bar + room : group + 14
  while (n * slot < 560) slot *= 1.1
  width = left + n * slot + 12
  if (width < wide(title, large) + 40) width = wide(title, large) + 40
  rows = 0
  if (m > 1) { x = left; rows = 1
    for (b = 1; b <= m; b++) { step = wide(labels[b], text) + 44; if (x > left && x + step > width) { x = left; rows++ }
      at[b] = x; row[b] = rows; x += step } }
  floor = 58 + 26 * rows + small + tall
  height = floor + 40

  described = title "."
  for (g = 1; g <= n; g++) for (b = 1; b <= m; b++) if ((names[g], labels[b]) in value)
    described = described (g + b > 2 ? "; " : " ") names[g] ", " labels[b] " " shown[names[g], labels[b]]
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"DejaVu Sans, Verdana, Helvetica, Arial, sans-serif\" role=\"img\" aria-label=\"%s\">\n", width, height, width, height, escaped(described)
  printf "<style>@media(prefers-color-scheme:dark){.f-paper{fill:#111827}.f-ink{fill:#f3f4f6}.f-aside{fill:#b6bcc8}.s-grid{stroke:#374151}.s-ink{stroke:#f3f4f6}"
  for (c = 1; c <= 6; c++) printf ".f-c%d{fill:%s}", c - 1, dark[c]
  printf "}</style>\n<title>%s</title><desc>%s</desc><rect width=\"%d\" height=\"%d\" class=\"f-paper\" fill=\"#ffffff\"/>\n", escaped(title), escaped(described), width, height
  words(20, 34, large, title, ink " font-weight=\"bold\"")
  for (b = 1; m > 1 && b <= m; b++) {
    printf "<rect x=\"%.0f\" y=\"%d\" width=\"16\" height=\"16\" class=\"f-c%d\" fill=\"%s\"/>\n", at[b], 30 + 26 * row[b], (b - 1) % 6, light[(b - 1) % 6 + 1]
    words(at[b] + 22, 44 + 26 * row[b], text, labels[b])
  }
  for (t = 0; t <= 4; t++) {
    printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"s-grid\" stroke=\"#e5e7eb\"/>\n", left - 6, width - 10, level(top * t / 4), level(top * t / 4)
    words(left - 12, level(top * t / 4) + 5, small, sprintf("%.3g", top * t / 4), "text-anchor=\"end\" class=\"f-aside\" fill=\"#4b5563\"")
  }
  for (g = 1; g <= n; g++) {
    middle = left + (g - .5) * slot
    words(middle, floor + 26, text, names[g], ink " text-anchor=\"middle\"")
    for (b = 1; b <= m; b++) {
      if (!((names[g], labels[b]) in value)) continue
      v = value[names[g], labels[b]]; x = middle + (b - 1 - m / 2) * bar; end = level(v)
      hint = escaped(names[g] ", " labels[b] ": " v)
      if (low[names[g], labels[b]] != "") hint = hint escaped(" (" low[names[g], labels[b]] " to " high[names[g], labels[b]] ")")
      printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"f-c%d\" fill=\"%s\"><title>%s</title></rect>\n", x + 2, level(v), bar - 4, tall * v / top, (b - 1) % 6, light[(b - 1) % 6 + 1], hint
      if (low[names[g], labels[b]] != "") {
        low_end = level(low[names[g], labels[b]]); end = level(high[names[g], labels[b]]); x += bar / 2
        printf "<path d=\"M%.1f %.1fV%.1fM%.1f %.1fh12M%.1f %.1fh12\" class=\"s-ink\" stroke=\"#111827\" stroke-width=\"2\" fill=\"none\"/>\n", x, low_end, end, x - 6, low_end, x - 6, end
        x -= bar / 2
      }
      words(x + bar / 2, end - 6, small, shown[names[g], labels[b]], ink " text-anchor=\"middle\"")
    }
  }
  print "</svg>"
}
