using System.Text;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>Texts that a sampler produces under a constraint from random logits.</summary>
internal static class RandomWalk
{
    public static string Text(TokenMasks masks, Tokenizer tokenizer, int seed)
    {
        var random = new Random(seed);
        var p = new SamplingParams { MaxTokens = 5000, Constraint = masks, Seed = seed };
        var sampler = new TokenSampler(p, tokenizer.VocabularySize, tokenizer.EosId, tokenizer.ExtraEosIds, []);
        var output = new OutputText(tokenizer, p);
        var logits = new float[tokenizer.VocabularySize];
        var text = new StringBuilder();
        for (var count = 0; ; count++)
        {
            for (var id = 0; id < logits.Length; id++)
            {
                // Structure is rare among the tokens; without a push the walk would rarely open or close anything.
                var structural = tokenizer.TokenBytes(id) is [var value] && "{}[]\",:0t"u8.Contains(value);
                var closing = id == tokenizer.EosId || tokenizer.TokenBytes(id) is [(byte)'}' or (byte)']' or (byte)'"'];
                logits[id] = random.NextSingle() + (structural ? 4 : 0) + (closing ? count / 50f : 0);
            }

            var step = output.Append(sampler.Sample(logits).TokenId);
            text.Append(step.Text);
            if (step.Finish is null)
                continue;
            Assert.Equal(FinishReason.Stop, step.Finish);
            return text.ToString();
        }
    }
}
