using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>How a constraint and the other sampling fields act together. Ids: 1 is EOS, 265 an extra EOS, 2 + b a byte.</summary>
public class ConstrainedSamplingTests
{
    private const int Eos = 1;
    private const int ExtraEos = 265;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    [Fact]
    public void Stop_ids_and_eos_are_possible_only_where_the_text_is_complete()
    {
        // A stop id may be a piece of text: it stops where the text may stop, and is no text before.
        var p = Under("ab{2,}c?") with { StopTokenIds = [2 + 'b'] };
        Assert.Throws<NoTokenPossibleException>(() => Run(p, logits => logits[Eos] = 9));

        var (text, ids, step) = Run(Under("x+") with { StopTokenIds = [2 + 'y'] }, logits => (logits[ExtraEos], logits[2 + 'y']) = (7, 8));
        Assert.Equal(("x", 2 + 'y', FinishReason.Stop, 2 + 'y'), (text, ids[^1], step.Finish, step.StopTokenId));
    }

    [Fact]
    public void A_text_that_may_end_goes_on_until_min_tokens()
    {
        var (text, ids, step) = Run(Under("x+") with { MinTokens = 4 }, logits => logits[Eos] = 9);
        Assert.Equal(("xxxx", Eos, FinishReason.Stop), (text, ids[^1], step.Finish));
    }

    [Fact]
    public void A_complete_text_ends_before_min_tokens_because_nothing_can_follow()
    {
        var (text, ids, step) = Run(Under("ab") with { MinTokens = 9, IgnoreEos = true }, _ => { });
        Assert.Equal(("ab", 3, FinishReason.Stop), (text, ids.Length, step.Finish));
        Assert.Null(step.StopTokenId);
    }

    [Fact]
    public void Ignoring_eos_makes_a_text_as_long_as_it_can_be()
    {
        var (text, _, step) = Run(Under("x{1,6}") with { IgnoreEos = true }, logits => (logits[Eos], logits[ExtraEos]) = (9, 9));
        Assert.Equal(("xxxxxx", FinishReason.Stop), (text, step.Finish));
        (text, _, step) = Run(Under("x*") with { IgnoreEos = true, MaxTokens = 5 }, logits => logits[Eos] = 9);
        Assert.Equal(("xxxxx", FinishReason.Length), (text, step.Finish));
    }

    [Fact]
    public void A_bias_chooses_among_what_is_possible_and_cannot_break_the_constraint()
    {
        var p = Under("yes|no|maybe") with { LogitBias = new Dictionary<int, float> { [2 + 'n'] = 50, [2 + 'z'] = 100 } };
        Assert.Equal("no", Run(p, _ => { }).Text);
    }

    [Fact]
    public void Forbidden_words_and_allowed_ids_narrow_the_constraint()
    {
        Assert.Equal("ad", Run(Under("a[bcd]") with { BadWords = [[2 + 'a', 2 + 'b'], [2 + 'c']] }, _ => { }).Text);
        Assert.Equal("b", Run(Under("[abc]") with { AllowedTokenIds = [2 + 'b', 2 + 'z'] }, _ => { }).Text);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_text_that_cannot_be_completed_is_an_error_and_no_half_answer(float temperature)
    {
        var p = Under("ab") with { AllowedTokenIds = [2 + 'a', 2 + 'z', Eos], Temperature = temperature };
        Assert.Contains("after 1 tokens", Assert.Throws<NoTokenPossibleException>(() => Run(p, _ => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Stop_strings_and_max_tokens_cut_the_text_wherever_it_stands()
    {
        var (text, _, step) = Run(Under("abcdef") with { Stop = ["cd"] }, _ => { });
        Assert.Equal(("ab", "cd"), (text, step.StopString));
        Assert.Equal(FinishReason.Length, Run(Under("abcdef") with { MaxTokens = 2 }, _ => { }).Last.Finish);
    }

    [Fact]
    public void Penalties_move_the_choice_within_the_constraint()
    {
        // Each letter becomes less likely the more often it was used.
        var (text, _, _) = Run(Under("[abc]{6}") with { FrequencyPenalty = 1 }, _ => { });
        Assert.Equal("abcabc", text);
    }

    [Fact]
    public void Log_probabilities_are_those_of_the_masked_distribution()
    {
        var p = Under("[ab]") with { Logprobs = 3 };
        var sampler = new TokenSampler(p, Arrows.VocabularySize, Eos, [ExtraEos], []);
        var logits = new float[Arrows.VocabularySize];
        logits[2 + 'z'] = 30;
        logits[2 + 'b'] = 1;
        var logprobs = sampler.Sample(logits).Logprobs!;
        Assert.Equal(-Math.Log(1 + Math.Exp(-1)), logprobs.Chosen.Logprob, 1e-6);
        Assert.Equal([2 + 'b', 2 + 'a'], logprobs.Top.Take(2).Select(t => t.TokenId));
        Assert.Equal(float.NegativeInfinity, logprobs.Top[2].Logprob);
    }

    private static SamplingParams Under(string regex) => new()
    {
        MaxTokens = 50,
        Temperature = 0,
        Constraint = new TokenMasks(new OutputConstraint(OutputConstraint.Form.Regex, regex).Compile(), Arrows),
    };

    private static (string Text, int[] Ids, OutputStep Last) Run(SamplingParams p, Action<float[]> shape)
    {
        var sampler = new TokenSampler(p, Arrows.VocabularySize, Eos, [ExtraEos], []);
        var output = new OutputText(Arrows, p);
        var logits = new float[Arrows.VocabularySize];
        shape(logits);
        var text = "";
        var ids = new List<int>();
        while (true)
        {
            var token = sampler.Sample(logits);
            ids.Add(token.TokenId);
            var step = output.Append(token.TokenId, token.Ends);
            text += step.Text;
            if (step.Finish is not null)
                return (text, [.. ids], step);
        }
    }
}
