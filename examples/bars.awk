# Draw bars with intervals as SVG: `awk -F '\t' -v title=TEXT -f examples/bars.awk TABLE`.
# Rows: group, bar, value, low, high. Bars of a group are side by side; the axis ends at 1, or where all values fit. Text
# and axes have the colour of the page's text, so that a dark page can show them.

{
  if (!($1 in groups)) { groups[$1] = ++n; names[n] = $1 }
  if (!($2 in bars)) { bars[$2] = ++m; labels[m] = $2 }
  value[$1, $2] = $3; low[$1, $2] = $4; high[$1, $2] = $5
  if ($3 > most) most = $3
  if (length($1) > longest) longest = length($1)
}

function y(v) { return 40 + 220 * (1 - v / top) }

END {
  split("#4477aa #ee6677 #228833 #ccbb44 #66ccee #aa3377", colours, " ")
  top = most <= .1 ? most : most <= 1 ? 1 : int(most) + 1; if (!top) top = 1
  wide = 34; gap = 40; if (m * wide + gap < 8 * longest) gap = 8 * longest - m * wide
  width = 60 + n * (m * wide + gap); height = 320
  if (width < 60 + 130 * m) width = 60 + 130 * m
  if (width < 60 + 8 * length(title)) width = 60 + 8 * length(title)
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\" fill=\"currentColor\" role=\"img\" aria-label=\"%s\">\n", width, height, width, height, title
  printf "<title>%s</title><text x=\"50\" y=\"20\" font-size=\"15\">%s</text>\n", title, title
  for (t = 0; t <= 4; t++)
    printf "<line x1=\"45\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"currentColor\" stroke-opacity=\".25\"/><text x=\"40\" y=\"%d\" text-anchor=\"end\">%.3g</text>\n", width - 10, y(top * t / 4), y(top * t / 4), y(top * t / 4) + 4, top * t / 4
  for (g = 1; g <= n; g++) {
    left = 60 + (g - 1) * (m * wide + gap)
    printf "<text x=\"%d\" y=\"280\" text-anchor=\"middle\">%s</text>\n", left + m * wide / 2, names[g]
    for (b = 1; b <= m; b++) {
      if (!((names[g], labels[b]) in value)) continue
      v = value[names[g], labels[b]]; x = left + (b - 1) * wide
      printf "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" fill=\"%s\"><title>%s, %s: %s</title></rect>\n", x, y(v), wide - 6, 220 * v / top, colours[b], names[g], labels[b], v
      if (low[names[g], labels[b]] != "")
        printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" stroke-width=\"1.5\"/>\n", x + wide / 2 - 3, x + wide / 2 - 3, y(low[names[g], labels[b]]), y(high[names[g], labels[b]])
    }
  }
  for (b = 1; b <= m; b++)
    printf "<rect x=\"%d\" y=\"296\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%d\" y=\"305\">%s</text>\n", 50 + (b - 1) * 130, colours[b], 64 + (b - 1) * 130, labels[b]
  print "</svg>"
}
