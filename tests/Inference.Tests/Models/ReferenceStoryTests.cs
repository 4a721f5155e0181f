using System.Text.Json;
using Eigengate.Inference.Sampling;

namespace Eigengate.Inference.Tests.Models;

/// <summary>A trained model against values that two independent float64 programs agree on.</summary>
public class ReferenceStoryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Greedy_continuation_equals_the_reference(bool reference)
    {
        using Engine engine = Engine.Load(SharedData.Path("models/stories260k"), TestEngine.Options(reference));
        JsonElement[] cases = Cases();
        TestStream[] streams = [.. cases.Select(c => engine.Start(Ids(c, "prompt_ids"), TestEngine.Greedy(60)))];
        engine.RunToEnd();
        for (int i = 0; i < cases.Length; i++)
        {
            Assert.Equal(Ids(cases[i], "greedy_ids_60"), streams[i].Ids);
            Assert.Equal(Ids(cases[i], "greedy_ids_20"), streams[i].Ids[..20]);

            // The reference text lacks the space that SentencePiece puts before the first word.
            string text = (cases[i].GetProperty("prompt").GetString() + Text(streams[i])).TrimStart(' ');
            Assert.Equal(cases[i].GetProperty("greedy_text_60").GetString(), text);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Last_position_logits_equal_the_reference(bool reference)
    {
        using var probe = new ModelProbe(SharedData.Path("models/stories260k"), TestEngine.Options(reference));
        foreach (JsonElement item in Cases())
        {
            float[] expected = [.. item.GetProperty("last_prompt_position_logits").EnumerateArray().Select(v => v.GetSingle())];
            Close.Assert(expected, probe.Logits(Ids(item, "prompt_ids"))[^1], 1e-4);
        }
    }

    [Theory]
    [InlineData(7)]
    [InlineData(256)]
    public void Prompt_scores_have_the_reference_mean(int budget)
    {
        using Engine engine = Engine.Load(
            SharedData.Path("models/stories260k"), TestEngine.Options() with { MaxBatchedTokens = budget });
        JsonElement forced = Reference().GetProperty("teacher_forced");
        int[] ids = Ids(forced, "ids");
        TestStream stream = engine.Start(ids, TestEngine.Greedy(0) with { PromptLogprobs = 1 });
        engine.RunToEnd();

        IReadOnlyList<TokenLogprobs?> scores = Assert.Single(stream.Drain().OfType<PromptScored>()).Tokens;
        Assert.Equal(ids.Length, scores.Count);
        Assert.Null(scores[0]);
        Assert.Equal(ids[1..], scores.Skip(1).Select(s => s!.Chosen.TokenId));
        Assert.Equal(forced.GetProperty("mean_nll").GetDouble(), -scores.Skip(1).Average(s => s!.Chosen.Logprob), 1e-4);
        Assert.Equal(FinishReason.Length, stream.End!.Reason);
        Assert.Empty(stream.Ids);
    }

    private static JsonElement Reference() =>
        JsonDocument.Parse(File.ReadAllBytes(SharedData.Path("models/stories260k/reference.json"))).RootElement;

    private static JsonElement[] Cases() => [.. Reference().GetProperty("references").EnumerateArray()];

    private static int[] Ids(JsonElement item, string name) => [.. item.GetProperty(name).EnumerateArray().Select(v => v.GetInt32())];

    private static string Text(TestStream stream) =>
        string.Concat(stream.Drain().Select(e => e switch
        {
            TokenGenerated token => token.Text,
            GenerationFinished end => end.Text,
            _ => "",
        }));
}
