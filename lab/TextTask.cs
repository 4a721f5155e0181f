namespace Eigengate.Lab;

/// <summary>One text task: the exact answer for a word. Its id is the adapter's id.</summary>
public sealed record TextTask(string Id, string Family, string Description, Func<string, string> Answer)
{
    /// <summary>Every task, in the order of the task tokens of the vocabulary.</summary>
    public static IReadOnlyList<TextTask> All { get; } = [.. Format(), .. Affix(), .. Repetition(), .. Order(), .. Selection(), .. Substitution(), .. Information()];

    /// <summary>What a user types for a word.</summary>
    public static string Prompt(string word) => $"{word} ->";

    public static int IndexOf(TextTask task) => All.Index().First(entry => entry.Item.Id == task.Id).Index;

    private static IEnumerable<TextTask> Format()
    {
        const string family = "format";
        yield return new("shout", family, "all letters upper case", w => w.ToUpperInvariant());
        yield return new("title", family, "first letter upper case", w => Upper(w[0]) + w[1..]);
        yield return new("tail-capital", family, "last letter upper case", w => w[..^1] + Upper(w[^1]));
        yield return new("zigzag-case", family, "every other letter upper case", w => Map(w, (c, i) => i % 2 == 0 ? Upper(c) : $"{c}"));
        yield return new("brackets", family, "in square brackets", w => $"[{w}]");
        yield return new("quotes", family, "in double quotes", w => $"\"{w}\"");
        yield return new("stars", family, "between asterisks", w => $"*{w}*");
        yield return new("tag", family, "as a markup tag", w => $"<{w}>");
        yield return new("exclaim", family, "with an exclamation mark", w => w + "!");
        yield return new("hashtag", family, "with a leading #", w => "#" + w);
        yield return new("mention", family, "with a leading @", w => "@" + w);
        yield return new("dots", family, "letters joined by dots", w => string.Join('.', w.ToCharArray()));
        yield return new("dashes", family, "letters joined by dashes", w => string.Join('-', w.ToCharArray()));
        yield return new("spell", family, "letters joined by spaces", w => string.Join(' ', w.ToCharArray()));
    }

    private static IEnumerable<TextTask> Affix()
    {
        const string family = "affix";
        yield return new("plural", family, "ends in -s", w => w + "s");
        yield return new("gerund", family, "ends in -ing", w => w + "ing");
        yield return new("past", family, "ends in -ed", w => w + "ed");
        yield return new("adverb", family, "ends in -ly", w => w + "ly");
        yield return new("quality", family, "ends in -ness", w => w + "ness");
        yield return new("undo", family, "starts with un-", w => "un" + w);
        yield return new("redo", family, "starts with re-", w => "re" + w);
    }

    private static IEnumerable<TextTask> Repetition()
    {
        const string family = "repetition";
        yield return new("double-letters", family, "every letter twice", w => Map(w, (c, _) => $"{c}{c}"));
        yield return new("double-vowels", family, "every vowel twice", w => Map(w, (c, _) => IsVowel(c) ? $"{c}{c}" : $"{c}"));
        yield return new("double-first", family, "first letter twice", w => w[0] + w);
        yield return new("double-last", family, "last letter twice", w => w + w[^1]);
        yield return new("stutter", family, "first two letters said before", w => $"{w[..2]}-{w}");
        yield return new("twice", family, "the word twice", w => $"{w} {w}");
    }

    private static IEnumerable<TextTask> Order()
    {
        const string family = "order";
        yield return new("reverse", family, "letters backwards", w => new string([.. w.Reverse()]));
        yield return new("rotate-left", family, "first letter moved to the end", w => w[1..] + w[0]);
        yield return new("rotate-right", family, "last letter moved to the front", w => w[^1] + w[..^1]);
        yield return new("swap-ends", family, "first and last letter exchanged", w => w[^1] + w[1..^1] + w[0]);
        yield return new("swap-front", family, "first two letters exchanged", w => $"{w[1]}{w[0]}{w[2..]}");
        yield return new("swap-back", family, "last two letters exchanged", w => $"{w[..^2]}{w[^1]}{w[^2]}");
        yield return new("pig-latin", family, "first letter to the end, then ay", w => w[1..] + w[0] + "ay");
    }

    private static IEnumerable<TextTask> Selection()
    {
        const string family = "selection";
        yield return new("first-letter", family, "the first letter", w => w[..1]);
        yield return new("last-letter", family, "the last letter", w => w[^1..]);
        yield return new("first-two", family, "the first two letters", w => w[..2]);
        yield return new("last-two", family, "the last two letters", w => w[^2..]);
        yield return new("drop-first", family, "without the first letter", w => w[1..]);
        yield return new("drop-last", family, "without the last letter", w => w[..^1]);
        yield return new("ends", family, "first and last letter", w => $"{w[0]}{w[^1]}");
        yield return new("inner", family, "without both ends", w => w[1..^1]);
        yield return new("vowels", family, "only the vowels", w => string.Concat(w.Where(IsVowel)));
        yield return new("consonants", family, "only the consonants", w => string.Concat(w.Where(c => !IsVowel(c))));
    }

    private static IEnumerable<TextTask> Substitution()
    {
        const string family = "substitution";
        yield return new("next-letter", family, "every letter one on in the alphabet", w => Map(w, (c, _) => Shift(c, 1)));
        yield return new("previous-letter", family, "every letter one back in the alphabet", w => Map(w, (c, _) => Shift(c, 25)));
        yield return new("rot13", family, "every letter thirteen on in the alphabet", w => Map(w, (c, _) => Shift(c, 13)));
        yield return new("atbash", family, "a becomes z, b becomes y, ...", w => Map(w, (c, _) => $"{(char)('a' + 'z' - c)}"));
        yield return new("starred-vowels", family, "every vowel an asterisk", w => Map(w, (c, _) => IsVowel(c) ? "*" : $"{c}"));
        yield return new("one-vowel", family, "every vowel an o", w => Map(w, (c, _) => IsVowel(c) ? "o" : $"{c}"));
        yield return new("leet", family, "a4 e3 i1 o0 s5 t7", w => Map(w, (c, _) => "aeiost".IndexOf(c) is >= 0 and int i ? $"{"431057"[i]}" : $"{c}"));
        yield return new("mask", family, "first letter, then asterisks", w => w[0] + new string('*', w.Length - 1));
    }

    private static IEnumerable<TextTask> Information()
    {
        const string family = "information";
        yield return new("length", family, "number of letters", w => $"{w.Length}");
        yield return new("vowel-count", family, "number of vowels", w => $"{w.Count(IsVowel)}");
    }

    private static string Map(string word, Func<char, int, string> letter) => string.Concat(word.Select(letter));

    private static string Upper(char letter) => $"{char.ToUpperInvariant(letter)}";

    private static string Shift(char letter, int by) => $"{(char)('a' + ((letter - 'a' + by) % 26))}";

    private static bool IsVowel(char letter) => Words.Vowels.Contains(letter);
}
