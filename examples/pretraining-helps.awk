# Sentences of a small English: a subject, maybe a clause about it, a verb that agrees in number, an object.
# With tsv=1 every second verb does not agree, and a column says so.
function draw(n) { state = (state * 16807) % 2147483647; return int(state / 2147483647 * n) + 1 }
function number(word, plural) { return plural ? word "s" : word }
BEGIN {
  state = 20261
  nouns = split("cat dog bird cow horse goat duck girl boy king queen nurse pilot actor writer farmer driver baker hunter singer", noun, " ")
  verbs = split("see hear like know find follow help call visit thank admire avoid greet remember invite trust", verb, " ")
  others = split("today often again here there now", other, " ")
  for (n = 0; n < lines; n++) {
    plural = draw(2) - 1
    text = "the " number(noun[draw(nouns)], plural)
    if (draw(2) == 1) { p = draw(2) - 1; text = text " that the " number(noun[draw(nouns)], p) " " number(verb[draw(verbs)], !p) }
    wrong = tsv && n % 2
    text = text " " number(verb[draw(verbs)], wrong ? plural : !plural) " the " number(noun[draw(nouns)], draw(2) - 1) " " other[draw(others)]
    print text (tsv ? "\t" (wrong ? "wrong" : "right") : "")
  }
}
