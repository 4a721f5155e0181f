using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

public class RegexTests
{
    private const int Eos = 1;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);
    private static readonly Tokenizer Stories = Tokenizer.Load(SharedData.Path("models/stories260k"));

    // Small alphabets, so that random texts often match; without astral characters, which .NET sees as two.
    private static readonly Gen<string> Atom = OneOf("a", "b", "é", "€", ".", "[ab]", "[^a]", "[a-dé]", @"\d", @"\w", @"\S", @"[^\d€]", @"\u20ac", @"\x61", @"\.");
    private static readonly Gen<string> Quantifier = OneOf("", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,}", "*?");

    private static readonly Gen<string> Patterns = Gen.Recursive<string>((depth, inner) =>
    {
        var atom = depth > 1 ? Atom : Gen.OneOf(Atom, inner.Select(p => $"({p})"), inner.Select(p => $"(?:{p})"));
        var sequence = Gen.Select(atom, Quantifier, (a, q) => a + q).Array[1, 2].Select(string.Concat);
        return sequence.Array[1, 2].Select(options => string.Join('|', options));
    });

    [Fact]
    public void A_text_is_complete_exactly_when_the_reference_matches_all_of_it() =>
        Gen.Select(Patterns, Gen.Char["abdé€1. _\n"].Array[0, 5].Select(c => new string(c)).Array[8]).Sample((pattern, texts) =>
        {
            var grammar = Compile(pattern);
            Assert.All(texts, text => Assert.True(Reference(pattern).IsMatch(text) == Accepts(grammar, text), $"{pattern} on '{text}'"));
        }, iter: 300);

    [Fact]
    public void Random_walks_match_under_several_vocabularies()
    {
        var ended = 0;
        Gen.Select(Patterns, Gen.Int[0, 1_000_000], Gen.Bool).Sample((pattern, seed, arrows) =>
        {
            var tokenizer = arrows ? Arrows : Stories;
            var text = RandomWalk.Text(new TokenMasks(Compile(pattern), tokenizer), tokenizer, seed);
            Assert.True(text is null || Reference(pattern).IsMatch(Plain(text)), $"{pattern}: {text}");
            ended += text is null ? 0 : 1;
        }, iter: 60, threads: 1);
        Assert.True(ended > 40, $"only {ended} walks ended");
    }

    [Theory]
    [InlineData("arrows")]
    [InlineData("stories")]
    public void Every_encoding_of_a_text_of_the_language_is_possible(string vocabulary)
    {
        var tokenizer = vocabulary == "arrows" ? Arrows : Stories;
        var masks = new TokenMasks(Compile(@"[a-z é€😀→]*[0-9]{2}"), tokenizer);
        var logits = new float[tokenizer.VocabularySize];
        var masked = new float[tokenizer.VocabularySize];
        OneOf("a", "once", " upon a time", "é", "€", "😀", "→", "->").Array[0, 8].Sample(words =>
        {
            var cursor = new ConstraintCursor(masks, tokenizer.EosId, [tokenizer.EosId]);
            var text = string.Concat(words).Replace("->", "→", StringComparison.Ordinal) + "42";
            // The first token of a SentencePiece text adds a space that the language here allows.
            foreach (var id in tokenizer.Encode(text, addSpecialTokens: false))
            {
                Assert.False(cursor.CanEnd);
                cursor.Mask(logits, masked);
                Assert.Equal(0, masked[id]);
                Assert.Equal(float.NegativeInfinity, masked[tokenizer.EosId]);
                Assert.True(cursor.Accept(id));
            }

            Assert.True(cursor.CanEnd);
        }, iter: 100, threads: 1);
    }

    [Theory]
    [InlineData("(?=a)b", "lookahead (?=")]
    [InlineData("a(?!b)", "lookahead (?!")]
    [InlineData("(?<=a)b", "lookbehind (?<=")]
    [InlineData("(?<!a)b", "lookbehind (?<!")]
    [InlineData(@"(a)\1", @"backreference \1")]
    [InlineData(@"(?<x>a)\k<x>", @"backreference \k")]
    [InlineData(@"\ba", @"word boundary \b")]
    [InlineData(@"\p{L}", @"Unicode property \p")]
    [InlineData("(?i)a", "group (?i")]
    [InlineData("a*+", "possessive")]
    [InlineData("a**", "quantifier of a quantifier")]
    [InlineData("*a", "quantifier '*' of nothing")]
    [InlineData("(a", "not closed")]
    [InlineData("a)", "unmatched )")]
    [InlineData("[a", "class that is not closed")]
    [InlineData("[b-a]", "wrong order")]
    [InlineData("[a-z-[aeiou]]", "class subtraction")]
    [InlineData("[a-[b]]", "class subtraction")]
    [InlineData("[[:alpha:]]", "POSIX")]
    [InlineData("a{3,1}", "broken quantifier")]
    [InlineData("a^b", "anchor ^")]
    [InlineData("a$b", "anchor")]
    [InlineData("(a$)b", "anchor inside a group")]
    [InlineData("a\\", "backslash at the end")]
    [InlineData("a\0", "NUL")]
    [InlineData("(a{1000}){1000}b{999999999}", "too large")]
    [InlineData("[^\\s\\S]", "no text satisfies")]
    public void What_cannot_be_enforced_is_named(string pattern, string named) =>
        Assert.Contains(named, Assert.Throws<ConstraintException>(() => Compile(pattern)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(@"^\d{3}-\d{4}$", "555-1234", "5555-123")]
    [InlineData("^a|b$", "b", "ab")]
    [InlineData("😀{2}", "😀😀", "😀")]
    [InlineData(@"\ud83d\ude00", "😀", "")]
    [InlineData("(?<year>[0-9]{4})", "2026", "26")]
    [InlineData("[\\]\\-^]+", "]-^", "a")]
    [InlineData("", "", "a")]
    public void Corner_cases(string pattern, string member, string stranger)
    {
        var grammar = Compile(pattern);
        Assert.True(Accepts(grammar, member));
        Assert.False(Accepts(grammar, stranger));
    }

    [Fact]
    public void A_character_may_be_split_over_tokens_but_a_text_never_ends_inside_one()
    {
        var masks = new TokenMasks(Compile("[€é]+"), Arrows);
        var cursor = new ConstraintCursor(masks, Eos, [Eos]);
        var bytes = Encoding.UTF8.GetBytes("€é");
        for (var i = 0; i < bytes.Length; i++)
        {
            Assert.Equal(i == 3, cursor.CanEnd);
            Assert.False(cursor.Accept(2 + 'a'));
            Assert.True(cursor.Accept(2 + bytes[i]));
        }

        Assert.True(cursor.Accept(Eos));
    }

    [Fact]
    public void A_hostile_expression_costs_bounded_work_and_its_texts_still_match()
    {
        const string Pattern = "(a|b| )*a(a|b| ){40}";
        var masks = new TokenMasks(Compile(Pattern), Stories);
        Assert.Matches($"^(?:{Pattern})$", Plain(RandomWalk.Text(masks, Stories, 5)!));
    }

    [Fact]
    public void Sequences_share_masks_across_threads()
    {
        var masks = new TokenMasks(Compile("([a-f]{2,5} ){3,6}[0-9]+"), Stories);
        var alone = Enumerable.Range(0, 8).Select(seed => RandomWalk.Text(masks, Stories, seed)).ToArray();
        var fresh = new TokenMasks(Compile("([a-f]{2,5} ){3,6}[0-9]+"), Stories);
        var together = new string?[8];
        Parallel.For(0, 8, seed => together[seed] = RandomWalk.Text(fresh, Stories, seed));
        Assert.Equal(alone, together);
    }

    [Fact]
    public void Choices_are_the_only_texts()
    {
        string[] choices = ["yes", "yes!", "no", "été", "\"{"];
        var masks = new TokenMasks(OutputConstraint.Choice(choices).Compile(), Arrows);
        var seen = Enumerable.Range(0, 200).Select(seed => RandomWalk.Text(masks, Arrows, seed)).ToHashSet();
        Assert.Equal(choices.Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_sampler_ends_only_where_the_text_may_end_and_stays_ended()
    {
        var p = new SamplingParams { MaxTokens = 9, Temperature = 0, Constraint = new TokenMasks(Compile("ab?"), Arrows) };
        var sampler = new TokenSampler(p, Arrows.VocabularySize, Eos, [], []);
        var logits = new float[Arrows.VocabularySize];
        logits[Eos] = 5;
        Assert.Equal(2 + 'a', sampler.Sample(logits).TokenId);
        Assert.Equal(Eos, sampler.Sample(logits).TokenId);
        logits[2 + 'b'] = 9;
        Assert.Equal(Eos, sampler.Sample(logits).TokenId);
    }

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);

    private static Grammar Compile(string pattern) => new OutputConstraint(OutputConstraint.Form.Regex, pattern).Compile();

    // The engine without backtracking, whose time does not explode, has no ECMAScript mode: its classes are spelled out.
    private static Regex Reference(string pattern) => new(
        $@"\A(?:{pattern.Replace(@"[^\d", "[^0-9", StringComparison.Ordinal).Replace(@"\d", "[0-9]", StringComparison.Ordinal).Replace(@"\w", "[a-zA-Z0-9_]", StringComparison.Ordinal)})\z",
        RegexOptions.NonBacktracking);

    // Characters that .NET's engine sees as two halves, or that only our dot excludes, become one ordinary letter.
    private static string Plain(string text) => string.Concat(text.EnumerateRunes().Select(r => r.IsBmp ? r.ToString() : "ж"));

    private static bool Accepts(Grammar grammar, string text)
    {
        var states = new PushdownAutomaton(grammar, 1 << 20);
        var at = states.Start;
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            at = states.Next(at, value);
            if (at is null)
                return false;
        }

        return at.Accepts;
    }
}
