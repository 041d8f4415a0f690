"""Dead letters: listed, shown in detail, sent again."""
