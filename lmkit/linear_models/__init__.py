"""Linear models of texts as sparse vectors: hashed n-grams, TF-IDF, softmax and ridge regression."""
