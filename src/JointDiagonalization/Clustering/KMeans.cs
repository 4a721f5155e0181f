using System.Numerics;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>k-means++ with restarts. Sequential and in fixed order: the same seed gives the same assignment on any machine load.</summary>
internal static class KMeans
{
    private const int Restarts = 4;
    private const int MaxIterations = 50;

    /// <summary>The rows of a matrix as points.</summary>
    internal static double[][] Points(TorchSharp.torch.Tensor rows)
    {
        double[] flat = rows.ToDoubles();
        int columns = (int)rows.shape[1];
        return [.. Enumerable.Range(0, (int)rows.shape[0]).Select(i => flat[(i * columns)..((i + 1) * columns)])];
    }

    /// <summary>Cluster of each point; every cluster has at least one when there are enough points.</summary>
    internal static int[] Assign(double[][] points, int clusters, ulong seed)
    {
        (double Cost, int[] Assignment) best = (double.PositiveInfinity, []);
        for (int restart = 0; restart < Restarts; restart++)
        {
            var run = Run(points, clusters, new CounterRandom(seed, RandomPurpose.Centres, restart));
            if (run.Cost < best.Cost)
                best = run;
        }

        return best.Assignment;
    }

    private static (double Cost, int[] Assignment) Run(double[][] points, int clusters, CounterRandom random)
    {
        double[][] centres = Seed(points, clusters, random);
        int[] assignment = new int[points.Length];
        double[] distances = new double[points.Length];
        for (int iteration = 0; iteration < MaxIterations; iteration++)
        {
            bool moved = false;
            for (int i = 0; i < points.Length; i++)
            {
                int nearest = 0;
                distances[i] = double.PositiveInfinity;
                for (int c = 0; c < clusters; c++)
                {
                    double distance = Distance(points[i], centres[c]);
                    if (distance < distances[i])
                        (nearest, distances[i]) = (c, distance);
                }

                moved |= assignment[i] != nearest;
                assignment[i] = nearest;
            }

            moved |= FillEmpty(assignment, distances, clusters);
            if (!moved && iteration > 0)
                break;
            centres = [.. Enumerable.Range(0, clusters).Select(c => Mean(points, assignment, c))];
        }

        return (distances.Sum(), assignment);
    }

    /// <summary>Gives an empty cluster the worst-placed point of a cluster that can spare one.</summary>
    private static bool FillEmpty(int[] assignment, double[] distances, int clusters)
    {
        int[] sizes = new int[clusters];
        foreach (int c in assignment)
            sizes[c]++;
        bool moved = false;
        for (int c = 0; c < clusters; c++)
        {
            if (sizes[c] > 0)
                continue;
            int worst = -1;
            for (int i = 0; i < assignment.Length; i++)
            {
                if (sizes[assignment[i]] > 1 && (worst < 0 || distances[i] > distances[worst]))
                    worst = i;
            }

            if (worst < 0)
                break;
            sizes[assignment[worst]]--;
            sizes[c]++;
            assignment[worst] = c;
            distances[worst] = 0;
            moved = true;
        }

        return moved;
    }

    private static double[][] Seed(double[][] points, int clusters, CounterRandom random)
    {
        List<double[]> centres = [points[(int)(random.NextDouble() * points.Length)]];
        double[] nearest = [.. points.Select(p => Distance(p, centres[0]))];
        while (centres.Count < clusters)
        {
            double target = random.NextDouble() * nearest.Sum();
            int chosen = 0;
            for (double sum = nearest[0]; sum <= target && chosen < points.Length - 1; sum += nearest[chosen])
                chosen++;
            centres.Add(points[chosen]);
            for (int i = 0; i < points.Length; i++)
                nearest[i] = Math.Min(nearest[i], Distance(points[i], centres[^1]));
        }

        return [.. centres];
    }

    private static double[] Mean(double[][] points, int[] assignment, int cluster)
    {
        double[] mean = new double[points[0].Length];
        int count = 0;
        for (int i = 0; i < points.Length; i++)
        {
            if (assignment[i] != cluster)
                continue;
            count++;
            for (int j = 0; j < mean.Length; j++)
                mean[j] += points[i][j];
        }

        for (int j = 0; j < mean.Length; j++)
            mean[j] /= Math.Max(1, count);
        return mean;
    }

    private static double Distance(double[] a, double[] b)
    {
        int j = 0;
        Vector<double> sums = Vector<double>.Zero;
        for (; j + Vector<double>.Count <= a.Length; j += Vector<double>.Count)
        {
            Vector<double> difference = new Vector<double>(a, j) - new Vector<double>(b, j);
            sums += difference * difference;
        }

        double sum = Vector.Sum(sums);
        for (; j < a.Length; j++)
            sum += (a[j] - b[j]) * (a[j] - b[j]);
        return sum;
    }
}
