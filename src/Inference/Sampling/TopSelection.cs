namespace Eigengate.Inference.Sampling;

/// <summary>The best of many logits without sorting them all. Better is a higher logit, among equals the lower id.</summary>
internal static class TopSelection
{
    /// <summary>Fills ids with the best <c>ids.Length</c> token ids, best first.</summary>
    public static void Select(ReadOnlySpan<float> logits, Span<int> ids)
    {
        if (ids.Length == 0)
            return;
        // A heap whose root is the worst token kept so far.
        for (var id = 0; id < ids.Length; id++)
            ids[id] = id;
        for (var root = ids.Length / 2 - 1; root >= 0; root--)
            SiftDown(logits, ids, root);
        var worst = logits[ids[0]];
        for (var id = ids.Length; id < logits.Length; id++)
        {
            // A later id loses against an equal earlier one.
            if (!(logits[id] > worst))
                continue;
            ids[0] = id;
            SiftDown(logits, ids, 0);
            worst = logits[ids[0]];
        }

        for (var end = ids.Length - 1; end > 0; end--)
        {
            (ids[0], ids[end]) = (ids[end], ids[0]);
            SiftDown(logits, ids[..end], 0);
        }
    }

    /// <summary>1-based place of a token in the order that <see cref="Select"/> uses.</summary>
    public static int Rank(ReadOnlySpan<float> logits, int tokenId)
    {
        var own = logits[tokenId];
        var better = 0;
        for (var id = 0; id < tokenId; id++)
            better += logits[id] >= own ? 1 : 0;
        for (var id = tokenId + 1; id < logits.Length; id++)
            better += logits[id] > own ? 1 : 0;
        return better + 1;
    }

    private static void SiftDown(ReadOnlySpan<float> logits, Span<int> heap, int root)
    {
        while (true)
        {
            var worst = root;
            for (var child = 2 * root + 1; child <= 2 * root + 2 && child < heap.Length; child++)
            {
                if (Worse(logits, heap[child], heap[worst]))
                    worst = child;
            }

            if (worst == root)
                return;
            (heap[root], heap[worst]) = (heap[worst], heap[root]);
            root = worst;
        }
    }

    private static bool Worse(ReadOnlySpan<float> logits, int a, int b) =>
        logits[a] < logits[b] || (logits[a] == logits[b] && a > b);
}
