"""Operations of a network while it runs, each with the rule that passes its relevance on."""
