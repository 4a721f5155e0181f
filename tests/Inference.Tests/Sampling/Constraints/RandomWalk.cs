using System.Text;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>Texts that a sampler produces under a constraint from random logits.</summary>
internal static class RandomWalk
{
    /// <summary>Null where the text did not end within 1000 tokens.</summary>
    public static string? Text(TokenMasks masks, Tokenizer tokenizer, int seed)
    {
        var random = new Random(seed);
        var p = new SamplingParams { MaxTokens = 1000, Constraint = masks, Seed = seed };
        var sampler = new TokenSampler(p, tokenizer.VocabularySize, tokenizer.EosId, tokenizer.ExtraEosIds, []);
        var output = new OutputText(tokenizer, p);
        var logits = new float[tokenizer.VocabularySize];
        var text = new StringBuilder();
        for (var count = 0; ; count++)
        {
            for (var id = 0; id < logits.Length; id++)
                logits[id] = random.NextSingle() + Push(tokenizer, id, count);
            var token = sampler.Sample(logits);
            var step = output.Append(token.TokenId, token.Ends);
            text.Append(step.Text);
            if (step.Finish is not null)
                return step.Finish == FinishReason.Stop ? text.ToString() : null;
        }
    }

    /// <summary>
    /// Structure is rare among tokens: without a push the walk would rarely open anything, and without one that grows it
    /// would stay in loops of letters and digits for ever.
    /// </summary>
    private static float Push(Tokenizer tokenizer, int id, int count)
    {
        if (id == tokenizer.EosId)
            return count / 10f;
        return tokenizer.TokenBytes(id) switch
        {
            [(byte)'}' or (byte)']' or (byte)'"'] => 4 + count / 15f,
            [(byte)'{' or (byte)'[' or (byte)':' or (byte)',' or (byte)'0' or (byte)'t'] => 4 + Math.Min(count, 60) / 30f,
            [var value] when !char.IsAsciiLetterOrDigit((char)value) && value is > (byte)' ' and < 0x7F => Math.Min(count, 60) / 30f,
            [_] => 1,
            _ => 0,
        };
    }
}
