using CsCheck;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Tests.Tokenization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling;

/// <summary>Ids of the committed tokenizer: 1 is EOS, 265 an extra EOS, 264 special, 263 "hello", 2 + b a byte.</summary>
public class OutputTextTests
{
    private const int Eos = 1;
    private const int Reverse = 264;
    private const int ExtraEos = 265;
    private const int Hello = 263;

    private static readonly Tokenizer Arrows = Tokenizer.Load(TokenizerFolder.Arrows);

    [Fact]
    public void The_primary_eos_ends_without_an_id_and_leaves_no_text()
    {
        var steps = Run(new SamplingParams { MaxTokens = 9, SkipSpecialTokens = false }, Hello, Eos, Hello);
        Assert.Equal([new OutputStep("hello", null, null, null), new OutputStep("", FinishReason.Stop, null, null)], steps);
    }

    [Theory]
    [InlineData(ExtraEos)]
    [InlineData(2 + 'x')]
    public void An_extra_eos_and_a_stop_id_end_with_their_id(int id)
    {
        var steps = Run(new SamplingParams { MaxTokens = 9, StopTokenIds = [2 + 'x'] }, Hello, id);
        Assert.Equal(new OutputStep("", FinishReason.Stop, id, null), steps[^1]);
    }

    [Fact]
    public void Ignoring_eos_ignores_the_extra_ones_but_not_stop_ids()
    {
        var steps = Run(new SamplingParams { MaxTokens = 9, IgnoreEos = true, StopTokenIds = [Hello] }, Eos, ExtraEos, Hello);
        Assert.Equal([null, null, FinishReason.Stop], steps.Select(s => s.Finish));
    }

    [Fact]
    public void The_stop_token_is_shown_on_request_unless_it_is_special_and_skipped()
    {
        var p = new SamplingParams { MaxTokens = 9, StopTokenIds = [Hello, Reverse], IncludeStopInOutput = true };
        Assert.Equal("hello", Run(p, Hello)[^1].Text);
        Assert.Equal("", Run(p, Reverse)[^1].Text);
        Assert.Equal("<|reverse|>", Run(p with { SkipSpecialTokens = false }, Reverse)[^1].Text);
    }

    [Fact]
    public void Max_tokens_ends_with_length_and_gives_out_everything()
    {
        var steps = Run(new SamplingParams { MaxTokens = 2, Stop = ["hellohello!"] }, Hello, Hello);
        Assert.Equal([new OutputStep("", null, null, null), new OutputStep("hellohello", FinishReason.Length, null, null)], steps);
    }

    [Fact]
    public void A_half_character_at_the_end_is_shown_as_a_replacement_character()
    {
        var steps = Run(new SamplingParams { MaxTokens = 2 }, Hello, 2 + 0xF0);
        Assert.Equal("\uFFFD", steps[^1].Text);
    }

    [Fact]
    public void Eos_at_the_last_token_is_a_stop_and_not_a_length() =>
        Assert.Equal(FinishReason.Stop, Run(new SamplingParams { MaxTokens = 1 }, Eos)[^1].Finish);

    [Fact]
    public void Stop_strings_are_not_evaluated_before_min_tokens()
    {
        var p = new SamplingParams { MaxTokens = 9, MinTokens = 2, Stop = ["el", "loh"] };
        var steps = Run(p, Hello, Hello, Hello);
        // The first "el" passes; "loh" begins in the first token and ends in the second.
        Assert.Equal("hel", Text(steps));
        Assert.Equal("loh", steps[^1].StopString);
        Assert.Equal(2, steps.Count);
    }

    [Theory]
    [InlineData(false, "hell")]
    [InlineData(true, "hello->")]
    public void A_stop_string_is_cut_or_kept(bool keep, string expected)
    {
        var steps = Run(new SamplingParams { MaxTokens = 9, Stop = ["o->"], IncludeStopInOutput = keep }, Hello, 258, Hello);
        Assert.Equal(expected, Text(steps));
        Assert.Equal(new OutputStep(steps[^1].Text, FinishReason.Stop, null, "o->"), steps[^1]);
    }

    [Fact]
    public void Text_is_held_back_only_while_it_may_begin_a_stop_string()
    {
        var steps = Run(new SamplingParams { MaxTokens = 9, Stop = ["o->!"] }, Hello, 258, 2 + '?');
        Assert.Equal(["hell", "", "o->?"], steps.Select(s => s.Text));
    }

    [Fact]
    public void Flushing_gives_out_what_is_held_back_once()
    {
        var output = new OutputText(Arrows, new SamplingParams { MaxTokens = 9, Stop = ["o->!"] });
        Assert.Equal("hell", output.Append(Hello).Text);
        Assert.Equal("o", output.Flush());
        Assert.Equal("", output.Flush());
    }

    [Fact]
    public void Streaming_equals_a_search_in_the_whole_text() =>
        Gen.Select(
            Gen.Int[0, 5].Select(i => new[] { 2 + 'a', 2 + 'b', Hello, 258, 2 + 0xC3, 2 + 0xA9 }[i]).Array[0, 25],
            Gen.Char["abhelo->\u00E9"].Array[1, 5].Select(c => new string(c)).Array[0, 4],
            Gen.Bool)
        .Sample((ids, stops, keep) =>
        {
            var p = new SamplingParams { MaxTokens = 1000, Stop = stops, IncludeStopInOutput = keep };
            var output = new OutputText(Arrows, p);
            var steps = Append(output, ids);
            var text = Text(steps) + output.Flush();
            var whole = Arrows.Decode(ids, skipSpecialTokens: true);
            var (expected, stop) = Naive(whole, stops, keep);
            // A character still incomplete at the end is not searched: it is known only after the sequence has ended.
            if (stop is not null && whole.EndsWith('\uFFFD') && steps.All(s => s.Finish is null))
                return true;
            return text == expected && stop == (steps.Count > 0 ? steps[^1].StopString : null);
        }, iter: 20_000);

    /// <summary>The first place where a stop string is complete; the longest one that is complete there.</summary>
    private static (string Text, string? Stop) Naive(string text, string[] stops, bool keep)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var stop = stops.Where(s => text[..end].EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length);
            if (stop is not null)
                return (text[..(keep ? end : end - stop.Length)], stop);
        }

        return (text, null);
    }

    private static List<OutputStep> Run(SamplingParams p, params int[] ids) => Append(new OutputText(Arrows, p), ids);

    private static List<OutputStep> Append(OutputText output, int[] ids)
    {
        var steps = new List<OutputStep>();
        foreach (var id in ids)
        {
            steps.Add(output.Append(id));
            if (steps[^1].Finish is not null)
                break;
        }

        return steps;
    }

    private static string Text(List<OutputStep> steps) => string.Concat(steps.Select(s => s.Text));
}
