using System.Diagnostics;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.Inference.Tests.Sampling.Constraints;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Bench.StructuredOutputs;

/// <summary>Compiles hostile constraints and walks some way into them.</summary>
internal static class HostileBenchmark
{
    private const int Steps = 40;

    public static void Run(Tokenizer tokenizer)
    {
        long began = Stopwatch.GetTimestamp();
        int sorted = tokenizer.SortedTokens.Count;
        Console.WriteLine($"Sorting {sorted} tokens, once: {Since(began)} ms\n");
        Console.WriteLine($"| constraint | compiled, ms | MB allocated | then | costliest mask of {Steps} steps, ms | MB allocated |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (var (name, constraint) in HostileConstraints.All)
            Console.WriteLine($"| {name} | {Measure(constraint, tokenizer)} |");
    }

    private static string Measure(OutputConstraint constraint, Tokenizer tokenizer)
    {
        long allocated = GC.GetAllocatedBytesForCurrentThread(), began = Stopwatch.GetTimestamp();
        try
        {
            Grammar grammar = constraint.Compile();
            string compiled = $"{Since(began)} | {AllocatedSince(allocated)}";
            (allocated, began) = (GC.GetAllocatedBytesForCurrentThread(), Stopwatch.GetTimestamp());
            double costliest = Walk(new TokenMasks(grammar, tokenizer), tokenizer, began);
            return $"{compiled} | {grammar.Nodes.Length} nodes | {costliest:0.0} | {AllocatedSince(allocated)}";
        }
        catch (ConstraintException refused)
        {
            return $"{Since(began)} | {AllocatedSince(allocated)} | refused: {(refused.Message.Length > 100 ? refused.Message[..100] + "…" : refused.Message)} | |";
        }
    }

    /// <param name="began">When the first mask, made with the masks themselves, began.</param>
    private static double Walk(TokenMasks masks, Tokenizer tokenizer, long began)
    {
        var random = new Random(1);
        PushdownState at = masks.Start;
        double costliest = 0;
        for (int step = 0; step < Steps; step++)
        {
            ulong[] mask = masks.Mask(at);
            costliest = Math.Max(costliest, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            int[] possible = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => (mask[id / 64] >> id & 1) != 0)];
            if (possible.Length == 0)
                break;
            at = masks.Next(at, possible[random.Next(possible.Length)])!;
            began = Stopwatch.GetTimestamp();
        }

        return costliest;
    }

    private static string Since(long began) => $"{Stopwatch.GetElapsedTime(began).TotalMilliseconds:0.0}";

    private static string AllocatedSince(long bytes) => $"{(GC.GetAllocatedBytesForCurrentThread() - bytes) / 1e6:0.0}";
}
